"""JSON without the `json` module, whose imports cost more than everything else at the start of a worker.

The C scanner and encoder behind `json` do the same work; only the module around them is left out.
"""
from _json import encode_basestring, make_encoder, make_scanner


class _Settings:
    """What the C scanner reads from its decoder; the values are those of `json.loads`, but that NaN is refused."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo = None

    @staticmethod
    def parse_constant(name):
        raise ValueError(f"{name} is not JSON")


_Settings.memo = {}
_scan = make_scanner(_Settings)
_SPACE = " \t\n\r"


def parse(raw):
    """The value of UTF-8 JSON text. Raises ValueError."""
    text = str(raw, "utf-8")
    start = 0
    if text[:1] in _SPACE:
        start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = _scan(text, start)
    except (StopIteration, SystemError):
        # The scanner cannot name its errors without the module around it.
        from json import loads

        loads(text, parse_constant=_Settings.parse_constant)
        raise
    if end != len(text) and text[end:].strip(_SPACE):
        raise ValueError(f"expected the end of the JSON text at character {end}")
    return value


def _other(value):
    """Values of libraries that are plain data: numpy arrays and scalars, dates, sets, tuples are handled by C."""
    for method in ("tolist", "isoformat"):
        convert = getattr(value, method, None)
        if convert is not None:
            return convert()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(
        f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be written as JSON: "
        "return dicts, lists, strings, numbers, True, False, None, bytes or an apus.Event"
    )


def encoded(value):
    """UTF-8 JSON text of a value. Raises TypeError and ValueError with what to return instead."""
    # Markers find circles and are the encoder's own per call.
    parts = make_encoder({}, _other, encode_basestring, None, ":", ",", False, False, False)(value, 0)
    return "".join(parts).encode("utf-8")
