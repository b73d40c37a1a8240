"""Starts the worker: ``/usr/bin/python3 -I -S -B /runtime/apus/__main__.py``."""
import sys

runtime = __file__.rpartition("/apus/")[0] or "/runtime"
# The runtime comes first while it loads itself, and last afterwards: a function's own modules win over its files.
sys.path.insert(0, runtime)
from apus._session import Session  # noqa: E402

sys.path.remove(runtime)
sys.path.append(runtime)

if __name__ == "__main__":
    code = Session(3, 4, 5).run()
    # Threads of a handler that still run must not hold up the end; what was printed must not be lost.
    sys.stdout.flush()
    sys.stderr.flush()
    from os import _exit

    _exit(code)
