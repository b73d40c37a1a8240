"""A warm interpreter that becomes workers: ``/usr/bin/python3 -I -S -B /runtime/apus/_zygote.py``, started by the nursery.

It imports the runtime and modules of the standard library, never code of a function, has one thread, and is cloned on the
nursery's order. Each clone is confined (sandbox/nursery/confine.c) before it runs Python again. Whatever a worker needs that
is the same for all of them is made here, before: each page that a clone writes to is copied first, which costs more than
what it is written for.
"""
import sys

runtime = __file__.rpartition("/apus/")[0] or "/runtime"
sys.path.insert(0, runtime)

from apus import _failures, _loader, _text, _wire as wire  # noqa: E402, F401
from apus._session import Session, greeting, prepare_output  # noqa: E402

# What every worker has loaded when it looks for its handler, cloned or not.
ordinary = set(sys.modules)

import os  # noqa: E402
import signal  # noqa: E402

from apus._rehearsal import Rehearsal, buffer, frame, pretouch, rest  # noqa: E402

# What functions use most. They hold no descriptor, start no thread and keep no random state but `random`'s, which is made
# anew by the interpreter's own hook after a fork.
MODULES = (
    "base64", "bisect", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum",
    "functools", "heapq", "html", "inspect", "io", "itertools", "json", "math", "operator", "pathlib", "random", "re",
    "statistics", "string", "struct", "textwrap", "time", "traceback", "types", "typing", "urllib.parse", "zlib",
)
ENVIRONMENT_BYTES = 34 << 10


def rehearse():
    """The whole way of a worker, so that what it makes once is there for every clone: loading a handler too."""
    paths = list(sys.path)
    rehearsal = Rehearsal()
    rehearsal.say(frame(wire.INIT, 0, b'{"handler":"_sample:sample","path":"%s/apus"}' % runtime.encode()))
    if rehearsal.session.handler is None:
        os._exit(1)
    rehearsal.invoke(1)
    rehearsal.close()
    sys.path[:] = paths
    sys.modules.pop("_sample")
    pretouch()


def become(environment):
    """What the interpreter would have found at its start, in a worker of its own."""
    wanted = dict(assignment.split(b"=", 1) for assignment in environment.split(b"\0")[:-1])
    for name in [name for name in os.environb if name not in wanted]:
        del os.environb[name]
    for name, value in wanted.items():
        if os.environb.get(name) != value:
            os.environb[name] = value
    if b"TZ" in wanted:
        import time

        time.tzset()


def main():
    import ctypes
    import gc

    for name in MODULES:
        __import__(name)
    library = ctypes.PyDLL(runtime + "/libapus-zygote.so")
    # Its clones' too: their steps reset every signal, and put back these.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare_output()
    hello = greeting()
    own = b"".join(name + b"=" + value + b"\0" for name, value in os.environb.items())
    error = library.apus_zygote_prepare(hello, len(hello), own, len(own))
    if error:
        os._exit(error)
    hooks = [ctypes.cast(hook, ctypes.c_void_p) for hook in (
        ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Parent, ctypes.pythonapi.PyOS_AfterFork_Child)]
    environment = bytearray(ENVIRONMENT_BYTES)
    memory = (ctypes.c_char * ENVIRONMENT_BYTES).from_buffer(environment)
    sys.path.remove(runtime)
    sys.path.append(runtime)
    sys.argv = [runtime + "/apus/__main__.py"]
    rehearse()
    _loader.preloaded = frozenset(name.partition(".")[0] for name in set(sys.modules) - ordinary)
    session = Session(3, 4, 5, buffer())
    if len(sys._current_frames()) != 1:
        os._exit(1)
    # What is there now is garbage never: looking at it would only write to pages that are shared.
    gc.collect()
    gc.freeze()
    if library.apus_zygote_rehearse(*hooks) == 0:
        rehearse()
        library.apus_zygote_rehearsed()
    length = library.apus_zygote_serve(*hooks, memory, ENVIRONMENT_BYTES)
    if length < 0:
        os._exit(0)
    if length:
        become(bytes(memoryview(environment)[:length]))
    code = session.speak(rest)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
