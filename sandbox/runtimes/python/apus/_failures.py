"""Exceptions as ERROR payloads. Loaded with the first failure."""
from apus import _wire as wire
from apus._errors import InvalidData, Reject, ResultTooLarge, Retry

_OWN = __file__.rpartition("/")[0] + "/"
_FRAMES_MAX = 12


def payload(kind, code, message, detail="", after=None):
    code = code.encode("ascii")
    message = wire.clip(message, wire.MESSAGE_BYTES)
    detail = wire.clip(detail, wire.DETAIL_BYTES)
    delay = wire.NO_DELAY if after is None else int(after * 1000)
    return wire.ERROR_HEAD.pack(kind, 0, len(code), len(message), len(detail), delay) + code + message + detail


def read(raw):
    """Code and message of such a payload."""
    _, _, code, message, _, _ = wire.ERROR_HEAD.unpack_from(raw)
    at = wire.ERROR_HEAD.size
    return str(raw[at:at + code], "utf-8", "replace"), str(raw[at + code:at + code + message], "utf-8", "replace")


def of_handler(error):
    """The payload for an exception that left a handler."""
    if isinstance(error, Reject):
        return payload(wire.PERMANENT, "function_rejected", str(error.reason))
    if isinstance(error, Retry):
        return payload(wire.RETRYABLE, "function_failed", str(error), after=error.after)
    if isinstance(error, InvalidData):
        return payload(wire.POISON, "invalid_json", str(error))
    if isinstance(error, ResultTooLarge):
        return payload(wire.PERMANENT, "result_too_large", str(error))
    if type(error).__name__ == "CancelledError":
        return payload(wire.RETRYABLE, "cancelled", "the invocation was cancelled")
    if isinstance(error, SystemExit):
        return payload(
            wire.RETRYABLE, "function_failed",
            f"the handler called sys.exit({error.code!r}): return a result or raise an exception instead", trace(error))
    return payload(wire.RETRYABLE, "function_failed", describe(error), trace(error))


def of_batch(error):
    """The payload for an exception that left a handler of several events: which of them is to blame is not known, unless it names a delay for all."""
    raw = of_handler(error)
    return raw if isinstance(error, Retry) and error.after is not None else raw[:1] + b"\1" + raw[2:]


def describe(error):
    name = type(error).__qualname__
    if type(error).__module__ not in ("builtins", "__main__"):
        name = f"{type(error).__module__}.{name}"
    try:
        text = str(error)
    except Exception:  # A __str__ of the tenant may do anything.
        text = "(its text could not be made)"
    return f"{name}: {text}" if text else name


def trace(error):
    """A stack trace of the function's own frames, newest last, without the runtime's."""
    lines = []
    seen = set()
    while error is not None and id(error) not in seen and len(seen) < 4:
        seen.add(id(error))
        lines.insert(0, "\n".join(_frames(error) + [describe(error)]))
        if error.__cause__ is not None:
            error = error.__cause__
        elif not error.__suppress_context__:
            error = error.__context__
        else:
            break
    return "\n\nand then:\n".join(lines)


def _frames(error):
    frames = []
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if not code.co_filename.startswith(_OWN) and not code.co_filename.startswith("<frozen"):
            frames.append((code.co_filename, at.tb_lineno, code.co_qualname))
        at = at.tb_next
    if len(frames) > _FRAMES_MAX:
        half = _FRAMES_MAX // 2
        frames = frames[:half] + [("...", len(frames) - _FRAMES_MAX, "frames left out")] + frames[-half:]
    lines = []
    for file, line, name in frames:
        lines.append(f'  File "{file}", line {line}, in {name}')
        source = _source(file, line)
        if source:
            lines.append("    " + source)
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f'  File "{error.filename}", line {error.lineno}')
        if error.text:
            lines.append("    " + error.text.strip())
    return lines


def _source(file, line):
    try:
        with open(file, "rb") as lines:
            for number, raw in enumerate(lines, 1):
                if number == line:
                    return raw.decode("utf-8", "replace").strip()[:200]
    except OSError:
        pass
    return ""

