"""A decoder-only transformer over bytes, small enough to read. Its weights come from a frozen generator, so that every machine makes
the same ones, and nothing is downloaded. What it writes means nothing; how it runs is how larger ones run.

Weights are kept as half precision, as they would be in a file or in the host's memory, and spread to single precision to be worked
with, as they would be on a device.
"""
import numpy as np

VOCABULARY = 256
WIDTH, HEADS, LAYERS, CONTEXT = 192, 6, 4, 256
SEED = 20_260_101
# What it may write: letters and the space.
LETTERS = np.frombuffer(b" abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


def make_weights():
    """By name, in half precision. `RandomState` gives the same numbers in every release of numpy."""
    random = np.random.RandomState(SEED)

    def matrix(rows, columns, scale):
        return (random.standard_normal((rows, columns)) * scale).astype(np.float16)

    weights = {"embedding": matrix(VOCABULARY, WIDTH, 1.0), "position": matrix(CONTEXT, WIDTH, 0.6),
               "head": matrix(WIDTH, VOCABULARY, 1.0)}
    for layer in range(LAYERS):
        for name, rows, columns in (("query", WIDTH, WIDTH), ("key", WIDTH, WIDTH), ("value", WIDTH, WIDTH),
                                    ("out", WIDTH, WIDTH), ("up", WIDTH, 4 * WIDTH), ("down", 4 * WIDTH, WIDTH)):
            weights[f"{layer}.{name}"] = matrix(rows, columns, 1.6 / rows ** 0.5)
    return weights


def size(weights):
    return sum(array.nbytes for array in weights.values())


class Model:
    """Weights in the form they are worked with, and what was computed for the text so far."""

    def __init__(self, weights):
        self.weights = {name: array.astype(np.float32) for name, array in weights.items()}

    def tokens(self, prompt, count, temperature=0.0, seed=0):
        """Yields `count` letters that follow the prompt, one at a time."""
        text = list(prompt.encode()[-(CONTEXT // 2):]) or [ord(" ")]
        random = np.random.RandomState(seed)
        keys = [[] for _ in range(LAYERS)]
        values = [[] for _ in range(LAYERS)]
        state = None
        for place, byte in enumerate(text):
            state = self._step(byte, place, keys, values)
        for place in range(len(text), min(len(text) + count, CONTEXT)):
            letter = self._choose(state, temperature, random)
            yield chr(letter)
            state = self._step(letter, place, keys, values)

    def _step(self, byte, place, keys, values):
        """One position, with the keys and values of those before it."""
        weights = self.weights
        state = weights["embedding"][byte] + weights["position"][place]
        for layer in range(LAYERS):
            one = normal(state)
            query = (one @ weights[f"{layer}.query"]).reshape(HEADS, -1)
            keys[layer].append((one @ weights[f"{layer}.key"]).reshape(HEADS, -1))
            values[layer].append((one @ weights[f"{layer}.value"]).reshape(HEADS, -1))
            scores = np.einsum("hd,phd->hp", query, np.stack(keys[layer])) / (WIDTH // HEADS) ** 0.5
            mixed = np.einsum("hp,phd->hd", softmax(scores), np.stack(values[layer]))
            state = state + mixed.reshape(-1) @ weights[f"{layer}.out"]
            state = state + np.maximum(normal(state) @ weights[f"{layer}.up"], 0) @ weights[f"{layer}.down"]
        return state

    def _choose(self, state, temperature, random):
        scores = (normal(state) @ self.weights["head"])[LETTERS]
        if temperature <= 0:
            return int(LETTERS[int(np.argmax(scores))])
        chances = softmax(scores / temperature / 4)
        return int(LETTERS[int(np.searchsorted(np.cumsum(chances), random.random_sample()).clip(0, len(LETTERS) - 1))])


def normal(state):
    return (state - state.mean()) / (state.std() + 1e-5)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
