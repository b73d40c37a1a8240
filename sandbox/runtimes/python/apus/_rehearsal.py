"""A conversation with ourselves, through pipes: the way of every call, taken beforehand so that its pages are there."""
import os
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from select import POLLIN, poll

from apus import _replies, _wire as wire  # noqa: F401
from apus._session import Session

# What a call touches of the pages that a clone shares with its zygote, a clone that nobody waits for touches beforehand.
WARM_CALLS = 2
# How long a worker that is ready is not asked for anything before it takes the time to.
REST_MILLISECONDS = 1


def buffer():
    """Memory that is there when it is touched: most workers read little."""
    return mmap(-1, wire.READ_BUFFER_BYTES, MAP_PRIVATE | MAP_ANONYMOUS)


def frame(kind, stream, payload):
    return wire.HEAD.pack(len(payload), kind, 0, wire.VERSION, stream, 1 << 60) + payload


class Rehearsal:
    def __init__(self):
        self.into, self.out = os.pipe(), os.pipe()
        self.session = Session(self.into[0], self.out[1], -1, buffer())

    def say(self, *frames):
        os.write(self.into[1], b"".join(frames))
        self.session.turn()
        os.read(self.out[0], wire.FRAME_BYTES)

    def invoke(self, stream):
        block = b"".join(
            (wire.BLOCK.pack(0, wire.NO_KEY, 35, 7, 0), b"\x0f\x00\x10\x00datacontenttypeapplication/json", b'{"x":1}'))
        self.say(frame(wire.INVOKE, stream, wire.INVOKE_HEAD.pack(1, wire.DIRECT, 0, 0, -1, 1, 1) + block))

    def close(self):
        for descriptor in (*self.into, *self.out):
            os.close(descriptor)


def pretouch():
    """Answers calls of a handler of our own."""
    rehearsal = Rehearsal()
    rehearsal.session.handler = sample
    for stream in range(1, WARM_CALLS + 1):
        rehearsal.invoke(stream)
    rehearsal.close()


def sample(event, context):
    data = event.data
    context.remaining, context.cancelled
    return {"x": data["x"], "list": [str(number) for number in range(50)]}


def rest():
    """A worker that waits in a pool has time; one that was made for a call has none."""
    requests = poll()
    requests.register(3, POLLIN)
    if not requests.poll(REST_MILLISECONDS):
        pretouch()
