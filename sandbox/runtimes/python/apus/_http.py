"""Requests of HTTP triggers as a handler sees them, and answers that choose their status and headers.

docs/worker-protocol.md describes both as headers of an event. What a function answers is checked again on the server's side:
the checks here only tell its author early.
"""
from apus import _wire as wire
from apus._event import OCTETS_TYPE, TEXT_TYPE, _attribute, encode_attributes, is_json

_METHOD, _PATH, _QUERY, _PARAM = "apus-http-method", "apus-http-path", "apus-http-query", "apus-http-param-"
_STATUS = "apus-http-status"


class Values(dict):
    """Name to the first value of that name; `all(name)` has every one, in the order they came."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs):
        self._pairs = pairs
        for name, value in pairs:
            self.setdefault(name, value)

    def all(self, name):
        return [value for each, value in self._pairs if each == name]


class Headers(Values):
    """As Values, with names in lower case; looking one up takes any case."""

    __slots__ = ()

    def __getitem__(self, name):
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name):
        return dict.__contains__(self, name.lower())

    def get(self, name, default=None):
        return dict.get(self, name.lower(), default)

    def all(self, name):
        return Values.all(self, name.lower())


class Request:
    """The request that an HTTP trigger took: `method`, `path` below /fn, `params` of its pattern, `query`, `headers`."""

    __slots__ = ("method", "path", "params", "query", "headers")

    def __init__(self, method, path, params, query, headers):
        self.method, self.path, self.params, self.query, self.headers = method, path, params, query, headers

    def __repr__(self):
        return f"<apus.Request {self.method} {self.path}>"


def request_of(headers):
    """The request that the headers of an event describe; None when there is none."""
    method, path, query, params, others = None, "/", "", {}, []
    for name, raw in headers:
        value = str(raw, "utf-8", "replace")
        if not name.startswith("apus-"):
            others.append((name, value))
        elif name == _METHOD:
            method = value
        elif name == _PATH:
            path = value
        elif name == _QUERY:
            query = value
        elif name.startswith(_PARAM):
            params[name[len(_PARAM):]] = value
    return method and Request(method, path, params, Values(_pairs(query)), Headers(others))


def _pairs(query):
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(text):
    """Undoes percent-encoding once; the server has refused what is malformed."""
    if "%" not in text and "+" not in text:
        return text
    first, *rest = text.replace("+", " ").encode("utf-8").split(b"%")
    return b"".join([first, *(bytes([int(part[:2], 16)]) + part[2:] for part in rest)]).decode("utf-8", "replace")


class Response:
    """An answer to an HTTP trigger with a status and headers of its own.

    `body` may be bytes, str (sent as text), None, a generator, sync or async (streamed), or anything JSON-able. The type of
    the body is the header Content-Type, else what the body suggests. Where the caller is no HTTP trigger only the body counts.
    """

    __slots__ = ("body", "status", "headers")

    def __init__(self, body=None, *, status=None, headers=None):
        if status is None:
            status = 204 if body is None else 200
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"the status {status!r} is no number from 200 to 599")
        pairs = list(headers.items() if hasattr(headers, "items") else headers or ())
        for name, value in pairs:
            _check_header(name, value)
        self.body, self.status, self.headers = body, status, pairs

    def __repr__(self):
        return f"<apus.Response {self.status}>"

    @property
    def content_type(self):
        return next((value for name, value in self.headers if name.lower() == "content-type"), None)

    def streams(self):
        return type(self.body).__name__ in ("generator", "async_generator")

    def attributes(self, default):
        """Encoded attributes and headers; `default` is the content type of a body that comes without one."""
        content_type = self.content_type or default
        raw = encode_attributes({"datacontenttype": content_type} if content_type else {})
        parts = [raw, _attribute(_STATUS, wire.HEADER_KIND, str(self.status).encode())]
        parts += [_attribute(name.lower(), wire.HEADER_KIND, value.encode("ascii"))
                  for name, value in self.headers if name.lower() != "content-type"]
        return b"".join(parts)

    def _block(self):
        """Key, encoded attributes and data as bytes, None where there is none."""
        body = self.body
        if body is None:
            return None, self.attributes(None), None
        if isinstance(body, (bytes, bytearray, memoryview)):
            return None, self.attributes(OCTETS_TYPE), bytes(body)
        content_type = self.content_type
        if isinstance(body, str) and not is_json(content_type):
            return None, self.attributes(TEXT_TYPE), body.encode("utf-8")
        if content_type is None or is_json(content_type):
            from apus._text import encoded

            return None, self.attributes("application/json"), encoded(body)
        raise TypeError(f"an answer of type {content_type} needs its body as bytes or str, not {type(body).__name__}")


def _check_header(name, value):
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a header is a pair of str, not {name!r}: {value!r}")
    if not name.isascii() or not name or any(letter in "()<>@,;:\\\"/[]?={} \t" or not 32 < ord(letter) < 127 for letter in name):
        raise ValueError(f"{name!r} is no name of a header")
    if name.lower().startswith("apus-"):
        raise ValueError(f"the header {name} is the platform's: names that begin with apus- are reserved")
    if any(not 32 <= ord(letter) < 127 and letter != "\t" for letter in value):
        raise ValueError(f"the header {name} holds a character that no header may hold: encode what is not ASCII")
