"""PyTorch of the interpreter that runs this, or of a dependency layer. Workers start without the interpreter's own packages
(`-S`), so that a function sees only what it asked for; this one asks for them."""
import importlib
import sys


def torch():
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
    import site

    # Last, so that nothing of the interpreter's stands in the way of this function's own.
    sys.path.extend(path for path in site.getsitepackages() if path not in sys.path)
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise RuntimeError(
            f"PyTorch is not there for {sys.executable}: install it for that interpreter beneath /usr (README.md says how); "
            "sandboxes see nothing else of the host") from None
