"""Continues a text, streamed letter by letter. `sleep()` and `wake()` let its instance go to the host's memory and come back."""
import time

import apus

import model

TOKENS_MAX = 128

# In half precision: what stays in the host's memory while the function sleeps.
_weights = None
# As it is worked with: gone while the function sleeps.
_model = None


def start():
    global _weights
    began = time.monotonic()
    _weights = model.make_weights()
    wake()
    print(f"loaded {model.size(_weights) >> 10} KiB of weights in {time.monotonic() - began:.2f} s")


def sleep():
    global _model
    _model = None
    print("asleep: the weights are in the host's memory")


def wake():
    global _model
    _model = model.Model(_weights)


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
