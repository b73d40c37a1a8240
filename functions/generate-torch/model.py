"""The transformer of `functions/generate` in PyTorch: a decoder over bytes. Its size is set by variables, so that it fills the device
that is to be measured; what it writes means nothing."""
import os

import torch

VOCABULARY, CONTEXT = 256, 256
WIDTH, HEADS, LAYERS = (int(os.environ.get(name) or size) for name, size in (("WIDTH", 192), ("HEADS", 6), ("LAYERS", 4)))
# What it may write: letters and the space.
LETTERS = list(b" abcdefghijklmnopqrstuvwxyz")


def shapes():
    """Of the weights, by name."""
    if WIDTH % HEADS:
        raise ValueError(f"WIDTH is {WIDTH} and HEADS {HEADS}: the first must be a multiple of the second")
    found = {"embedding": (VOCABULARY, WIDTH), "position": (CONTEXT, WIDTH), "head": (WIDTH, VOCABULARY)}
    for layer in range(LAYERS):
        for name in ("query", "key", "value", "out"):
            found[f"{layer}.{name}"] = (WIDTH, WIDTH)
        found[f"{layer}.up"] = (WIDTH, 4 * WIDTH)
        found[f"{layer}.down"] = (4 * WIDTH, WIDTH)
    return found


class Model:
    def __init__(self, weights):
        self.weights = weights

    def tokens(self, prompt, count, temperature=0.0, seed=0):
        """Yields `count` letters that follow the prompt, one at a time."""
        text = list(prompt.encode()[-(CONTEXT // 2):]) or [ord(" ")]
        generator = torch.Generator().manual_seed(seed)
        cache = [([], []) for _ in range(LAYERS)]
        scores = None
        for place, byte in enumerate(text):
            scores = self._step(byte, place, cache)
        for place in range(len(text), min(len(text) + count, CONTEXT)):
            letter = choose(scores, temperature, generator)
            yield chr(letter)
            scores = self._step(letter, place, cache)

    def _step(self, byte, place, cache):
        """One position, with the keys and values of those before it.

        Returns: how well each byte follows.
        """
        weights = self.weights
        # Not around the whole of `tokens`: a generator that is left alone would leave it switched on for its thread.
        with torch.inference_mode():
            state = weights["embedding"][byte] + weights["position"][place]
            for layer, (keys, values) in enumerate(cache):
                one = normal(state)
                query = (one @ weights[f"{layer}.query"]).reshape(HEADS, 1, WIDTH // HEADS)
                keys.append((one @ weights[f"{layer}.key"]).reshape(HEADS, WIDTH // HEADS))
                values.append((one @ weights[f"{layer}.value"]).reshape(HEADS, WIDTH // HEADS))
                # By head, a row for each position.
                scores = query @ torch.stack(keys, 2) / (WIDTH // HEADS) ** 0.5
                mixed = torch.softmax(scores, -1) @ torch.stack(values, 1)
                state = state + mixed.reshape(WIDTH) @ weights[f"{layer}.out"]
                state = state + torch.relu(normal(state) @ weights[f"{layer}.up"]) @ weights[f"{layer}.down"]
            return (normal(state) @ weights["head"]).float().cpu()


def choose(scores, temperature, generator):
    """On the host: 27 numbers, and the same chance on every device."""
    scores = scores[LETTERS]
    if temperature <= 0:
        return LETTERS[int(torch.argmax(scores))]
    chances = torch.softmax(scores / (4 * temperature), -1)
    return LETTERS[int(torch.multinomial(chances, 1, generator=generator))]


def normal(state):
    """In single precision: the sum of squares of a wide state does not fit the other."""
    state = state.float()
    return ((state - state.mean()) / (state.std(correction=0) + 1e-5)).to(torch.float16)
