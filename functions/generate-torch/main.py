"""Continues a text, streamed letter by letter, on a GPU. `sleep()` and `wake()` move the weights between the device and pinned memory."""
import time

import apus

import interpreter

torch = interpreter.torch()

import model  # noqa: E402  (it needs what `interpreter` finds)
import weights  # noqa: E402

TOKENS_MAX = 128

_weights = None
_model = None


def start():
    """The weights are made in pinned memory, once; the device gets a copy."""
    global _weights
    _weights = weights.Weights(model.shapes(), weights.device())
    _timed("made", _weights.make)
    wake()
    # The first run chooses and loads the device's programs: no caller waits for that.
    _timed("warmed up", lambda: list(_model.tokens(" ", 2)))


def sleep():
    """Nothing is left on the device but what its driver keeps for the process."""
    global _model
    _model = None
    _timed("asleep", _weights.to_host, moves=True)


def wake():
    global _model
    _timed("awake", _weights.to_device, moves=True)
    _model = model.Model(_weights.tensors)


def generate(event, context):
    request = event.data if isinstance(event.data, dict) else {}
    prompt = request.get("prompt")
    if not isinstance(prompt, str):
        raise apus.Reject("give a JSON object with a text `prompt`; also `tokens`, `temperature`, `seed`, `stream`")
    count = request.get("tokens", 32)
    if not isinstance(count, int) or not 1 <= count <= TOKENS_MAX:
        raise apus.Reject(f"`tokens` is {count!r}: give a whole number from 1 to {TOKENS_MAX}")
    tokens = _model.tokens(prompt, count, float(request.get("temperature", 0)), int(request.get("seed", 0)))
    if request.get("stream", True):
        return ({"token": token} for token in tokens)
    return {"text": "".join(tokens)}


def _timed(what, body, moves=False):
    """What a step took, in the function's log: where the figures of a device come from."""
    began = time.monotonic()
    body()
    _weights.wait()
    took = time.monotonic() - began
    rate = f", {_weights.bytes} bytes, {_weights.bytes / took / 1e9:.2f} GB/s" if moves and took > 0 else ""
    print(f"{what} on {_weights.device}: {took:.4f} s{rate}")
