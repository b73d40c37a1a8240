"""Finds the handler that INIT names. Every way to fail says what to change."""
import _frozen_importlib as importing
import _frozen_importlib_external as importing_files
import sys
from posix import O_CLOEXEC, O_RDONLY, listdir, open as open_file

from apus import _failures

# Names of modules that are loaded only because the worker was cloned from a warm interpreter (_zygote.py).
preloaded = frozenset()
# Module and handler, in a call that was forked from its function's zygote (_forks.py).
loaded = None


class LoadError(Exception):
    def __init__(self, message, detail=""):
        super().__init__(message)
        self.detail = detail


def load(configuration):
    """The module and the handler of a configuration (INIT)."""
    if loaded is not None:
        return loaded
    path = configuration.get("path") or "/function"
    layer = configuration.get("layer")
    # As with any Python program its own folder comes first, installed packages after the standard library.
    sys.path.insert(0, path)
    if layer:
        sys.path.insert(len(sys.path) - 1, layer)
    name = configuration.get("handler") or ""
    module_name, colon, attribute = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split("."))):
        raise LoadError(f"the handler '{name}' is not of the form module:function, for example main:handle for "
                        "`def handle(event, context)` in main.py")
    names = _names(path)
    _uncover(names)
    module = _import(module_name, path, names)
    handler = module
    for part in attribute.split("."):
        if not hasattr(handler, part):
            raise LoadError(_missing(module, module_name, attribute))
        handler = getattr(handler, part)
    if not callable(handler):
        raise LoadError(f"'{attribute}' in {module_name} is a {type(handler).__name__}, not a function")
    _check_parameters(handler, name)
    return module, handler


def _names(path):
    """Of the function's files and folders."""
    try:
        return listdir(path)
    except OSError:
        return []


def _uncover(names):
    """A function's own module wins over one of the standard library's, also where that one is there already."""
    for own in {name.partition(".")[0] for name in names} & preloaded:
        for name in [name for name in sys.modules if name == own or name.startswith(own + ".")]:
            del sys.modules[name]


def _is_plain_file(name, names):
    """Whether `import` could find nothing else: no package, no extension module, nothing of the interpreter's."""
    if name + ".py" not in names or name in names or name in sys.stdlib_module_names or name in sys.modules:
        return False
    return not any(other.startswith(name + ".") and other.endswith((".so", ".pyc")) for other in names)


def _run_file(name, path):
    """Makes a module of a file, which is what `import` comes to after a search that costs more than all of this."""
    file = f"{path}/{name}.py"
    with open(open_file(file, O_RDONLY | O_CLOEXEC), "rb", buffering=0) as source:
        text = source.read()
    code = compile(text, file, "exec", dont_inherit=True)
    module = type(sys)(name)
    loader = module.__loader__ = importing_files.SourceFileLoader(name, file)
    module.__spec__ = importing.ModuleSpec(name, loader, origin=file)
    module.__spec__.has_location = True
    module.__file__ = file
    module.__package__ = ""
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def _import(name, path, names):
    try:
        if _is_plain_file(name, names):
            _run_file(name, path)
        else:
            __import__(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == name or name.startswith(missing + "."):
            raise LoadError(f"there is no module '{name}' in the function's source, which has: {_listing(path)}") from None
        raise LoadError(
            f"{name} imports '{missing}', which is neither in the function's source nor in its dependencies: "
            "list its package in requirements.txt and name that file under spec.dependencies",
            _failures.trace(error)) from None
    except SyntaxError as error:
        raise LoadError(
            f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}", _failures.trace(error)) from None
    except BaseException as error:
        raise LoadError(f"importing {name} failed: {_failures.describe(error)}", _failures.trace(error)) from None
    return sys.modules[name]


def _listing(path):
    from os import listdir

    try:
        names = sorted(name for name in listdir(path) if not name.startswith("."))
    except OSError as error:
        return f"nothing that can be read ({error.strerror})"
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"


def _missing(module, module_name, attribute):
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")
             and getattr(value, "__module__", module_name) == module_name]
    if not names:
        return f"{module_name} defines no '{attribute}', and no other function"
    from difflib import get_close_matches

    near = get_close_matches(attribute, names, 1)
    hint = f"; did you mean '{module_name}:{near[0]}'?" if near else ""
    return f"{module_name} defines no '{attribute}' (it has: {', '.join(names[:12])}){hint}"


def _check_parameters(handler, name):
    code = getattr(handler, "__code__", None)
    if code is None:
        return
    required = code.co_argcount - len(handler.__defaults__ or ()) - (1 if hasattr(handler, "__self__") else 0)
    given = code.co_argcount - (1 if hasattr(handler, "__self__") else 0)
    takes_more = code.co_flags & 0x04
    if required > 2 or (given < 2 and not takes_more):
        raise LoadError(
            f"the handler '{name}' takes {given} parameters; it is called with two: def {handler.__name__}(event, context)")


def run_code_flags(handler):
    """Flags of the code behind a callable: of the function, or of its class's __call__."""
    handler = getattr(handler, "func", handler)
    code = getattr(handler, "__code__", None) or getattr(getattr(type(handler), "__call__", None), "__code__", None)
    return code.co_flags if code is not None else 0
