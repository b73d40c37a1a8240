"""A warm interpreter that becomes workers: ``/usr/bin/python3 -I -S -B /runtime/apus/_zygote.py``, started by the nursery.

It imports the runtime and modules of the standard library, never code of a function, has one thread, and is cloned on the
nursery's order. Each clone is confined (sandbox/nursery/confine.c) before it runs Python again.
"""
import sys

runtime = __file__.rpartition("/apus/")[0] or "/runtime"
sys.path.insert(0, runtime)

import os  # noqa: E402
import signal  # noqa: E402

from apus import _failures, _loader, _replies, _text, _wire as wire  # noqa: E402, F401
from apus._session import Session  # noqa: E402

# What functions use most. They hold no descriptor, start no thread and keep no random state but `random`'s, which is made
# anew by the interpreter's own hook after a fork.
MODULES = (
    "base64", "bisect", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum",
    "functools", "heapq", "html", "inspect", "io", "itertools", "json", "math", "operator", "pathlib", "random", "re",
    "statistics", "string", "struct", "textwrap", "time", "traceback", "types", "typing", "urllib.parse", "zlib",
)
ENVIRONMENT_BYTES = 34 << 10
# What a call touches of the pages that a clone shares with its zygote, it touches before it is ready.
WARM_CALLS = 2


def buffer():
    """Memory that is there when it is touched: most workers read little."""
    from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

    return mmap(-1, wire.READ_BUFFER_BYTES, MAP_PRIVATE | MAP_ANONYMOUS)


def pretouch():
    """Answers calls of a handler of our own, through pipes: the way of every call, and of what it makes."""
    block = b"".join(
        (wire.BLOCK.pack(0, wire.NO_KEY, 35, 7, 0), b"\x0f\x00\x10\x00datacontenttypeapplication/json", b'{"x":1}'))
    call = wire.INVOKE_HEAD.pack(1, wire.DIRECT, 0, 0, -1, 1, 1) + block
    into, out = os.pipe(), os.pipe()
    session = Session(into[0], out[1], -1, buffer())
    session.handler = _warm
    for stream in range(1, WARM_CALLS + 1):
        os.write(into[1], wire.HEAD.pack(len(call), wire.INVOKE, 0, wire.VERSION, stream, 1 << 60) + call)
        session.turn()
        os.read(out[0], wire.FRAME_BYTES)
    for descriptor in (*into, *out):
        os.close(descriptor)


def _warm(event, context):
    data = event.data
    context.remaining, context.cancelled
    return {"x": data["x"], "list": [str(number) for number in range(50)]}


def become(environment):
    """What the interpreter would have found at its start, in a worker of its own."""
    wanted = dict(assignment.split(b"=", 1) for assignment in environment.split(b"\0")[:-1])
    # Only what differs from the zygote's own: each page that is written to is copied.
    if wanted != os.environb._data:
        for name in [name for name in os.environb if name not in wanted]:
            del os.environb[name]
        for name, value in wanted.items():
            os.environb[name] = value
        if b"TZ" in wanted:
            import time

            time.tzset()
    # The steps reset every signal.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [runtime + "/apus/__main__.py"]
    pretouch()


def main():
    import ctypes
    import gc

    for name in MODULES:
        __import__(name)
    library = ctypes.PyDLL(runtime + "/libapus-zygote.so")
    error = library.apus_zygote_prepare()
    if error:
        os._exit(error)
    hooks = [ctypes.cast(hook, ctypes.c_void_p) for hook in (
        ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Parent, ctypes.pythonapi.PyOS_AfterFork_Child)]
    environment = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
    sys.path.remove(runtime)
    sys.path.append(runtime)
    # Here too, so that what it makes once is there for every clone.
    pretouch()
    if len(sys._current_frames()) != 1:
        os._exit(1)
    # What is there now is garbage never: looking at it would only write to pages that are shared.
    gc.collect()
    gc.freeze()
    length = library.apus_zygote_serve(*hooks, environment, ENVIRONMENT_BYTES)
    if length < 0:
        os._exit(0)
    become(ctypes.string_at(environment, length))
    code = Session(3, 4, 5, buffer()).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
