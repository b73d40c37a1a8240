"""The runtime `http`: one operation of an HTTP API as a function. Arguments become one request, its answer the result.

The bundle's file (docs/functions/http.md) says which request. It goes through the egress process, which checks the host, encrypts,
and puts injected secrets in; so nothing here knows TLS, and a secret is only here when the URL must carry it.
"""
import json
import os
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote

from apus._errors import Reject
from apus._event import Event

PROXY = ("127.0.0.1", 3128)
# What a result may have, less a little for its frame.
ANSWER_BYTES_MAX = 15 * 1024 * 1024
# Of an answer that is an error, as much as helps to understand it.
EXCERPT_CHARACTERS = 2_000


class _BadArgument(Exception):
    """An argument that cannot be part of a request."""


def _load(path):
    with open(path, "rb") as file:
        operation = json.load(file)
    for name in ("method", "url"):
        if not isinstance(operation.get(name), str):
            raise ValueError(f"{os.path.basename(path)} has no `{name}`, expected what docs/functions/http.md describes")
    return operation


_operation = _load(os.environ["APUS_HTTP_OPERATION"])


def call(event, context):
    arguments = {} if event.data is None else event.data
    if not isinstance(arguments, dict):
        raise Reject(f"the arguments are no JSON object but {type(arguments).__name__}")
    try:
        url, headers, body = request(_operation, arguments, context.secret)
    except _BadArgument as error:
        raise Reject(str(error)) from None
    timeout = min(context.remaining, 600)
    connection = HTTPConnection(*PROXY, timeout=max(timeout, 0.1))
    try:
        connection.request(_operation["method"], url, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read(ANSWER_BYTES_MAX + 1)
    except (OSError, HTTPException) as error:
        raise RuntimeError(f"the API could not be reached: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if len(data) > ANSWER_BYTES_MAX:
        raise Reject(f"the API answered more than {ANSWER_BYTES_MAX} bytes; ask for less of it")
    return _result(answer, data)


def _result(answer, data):
    kind = answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if not 200 <= answer.status < 300:
        _refuse(answer, data)
    if not data:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(data)
        except ValueError:
            raise RuntimeError("the API answered JSON that cannot be read") from None
    if kind.startswith("text/") or kind in ("application/xml", "application/yaml"):
        charset = answer.headers.get_content_charset("utf-8")
        try:
            return data.decode(charset, "replace")
        except LookupError:
            return data.decode("utf-8", "replace")
    return Event(data, datacontenttype=kind or "application/octet-stream")


def _refuse(answer, data):
    """What the API or the egress process has against the request. Only what may pass by itself is worth another try."""
    text = data.decode("utf-8", "replace")[:EXCERPT_CHARACTERS].strip()
    message = f"the API answered {answer.status} {answer.reason}" + (f": {text}" if text else "")
    if 300 <= answer.status < 400:
        message = f"the API points to {answer.getheader('Location', 'another place')} ({answer.status}), which is not followed"
    if answer.status == 429 or answer.status >= 500:
        after = answer.getheader("Retry-After")
        raise RuntimeError(message + (f" (retry after {after})" if after else ""))
    raise Reject(message)


# From here on: what arguments look like in a request (OpenAPI 3, "Style Values").

def request(operation, arguments, secret):
    """The URL, headers and body of the request that these arguments make."""
    url = operation["url"]
    query, cookies = [], []
    headers = {"Accept": "application/json, text/*;q=0.8, */*;q=0.5", "User-Agent": "apus"}
    for parameter in operation.get("parameters", ()):
        value = arguments.get(parameter["argument"])
        name, place = parameter["name"], parameter["in"]
        if value is None and place != "path":
            continue
        if place == "path":
            part = _path(parameter, value)
            url = url.replace("{" + name + "}", part)
        elif place == "query":
            query += _pairs(parameter, value)
        elif place == "header":
            headers[name] = _header(name, _simple(parameter, value, str))
        elif place == "cookie":
            cookies += _pairs(parameter, value)
    for given in operation.get("secrets", ()):
        query.append((_quoted(given["name"]), _quoted(secret(given["secret"]))))
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies)
    if query:
        url += ("&" if "?" in url else "?") + "&".join(f"{name}={value}" for name, value in query)
    body = _body(operation.get("body"), arguments, headers)
    return url, headers, body


def _quoted(value):
    return quote(str(value), safe="")


def _text(value):
    """A single value as text, as JSON writes it but for the quotes."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _items(value):
    """The members of an object that say something."""
    return [(name, item) for name, item in value.items() if item is not None]


def _simple(parameter, value, quoted):
    """`style: simple`: commas between all parts."""
    if parameter.get("json"):
        return quoted(json.dumps(value, separators=(",", ":")))
    if isinstance(value, list):
        return ",".join(quoted(_text(item)) for item in value)
    if isinstance(value, dict):
        between = "=" if parameter.get("explode") else ","
        return ",".join(quoted(name) + between + quoted(_text(item)) for name, item in _items(value))
    return quoted(_text(value))


def _path(parameter, value):
    name, style, explode = parameter["name"], parameter.get("style", "simple"), parameter.get("explode")
    if value is None or value == "":
        raise _BadArgument(f"the argument '{parameter['argument']}' is empty, but part of the path")
    text = _simple(parameter, value, _quoted)
    # A dot segment would lead to another operation.
    if text in (".", ".."):
        raise _BadArgument(f"the argument '{parameter['argument']}' may not be '{text}'")
    if style == "label":
        return "." + (text.replace(",", ".") if explode else text)
    if style == "matrix":
        if explode and isinstance(value, list):
            return "".join(f";{_quoted(name)}={_quoted(_text(item))}" for item in value)
        if explode and isinstance(value, dict):
            return "".join(f";{_quoted(key)}={_quoted(_text(item))}" for key, item in _items(value))
        return f";{_quoted(name)}={text}"
    return text


def _pairs(parameter, value):
    """Names and values of the query or of cookies, quoted."""
    name, style, explode = _quoted(parameter["name"]), parameter.get("style", "form"), parameter.get("explode", True)
    if parameter.get("json"):
        return [(name, _quoted(json.dumps(value, separators=(",", ":"))))]
    if isinstance(value, dict):
        if style == "deepObject":
            return [(f"{name}%5B{_quoted(key)}%5D", _quoted(_text(item))) for key, item in _items(value)]
        if explode:
            return [(_quoted(key), _quoted(_text(item))) for key, item in _items(value)]
        return [(name, ",".join(_quoted(key) + "," + _quoted(_text(item)) for key, item in _items(value)))]
    if isinstance(value, list):
        if explode:
            return [(name, _quoted(_text(item))) for item in value]
        between = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(style, ",")
        return [(name, between.join(_quoted(_text(item)) for item in value))]
    return [(name, _quoted(_text(value)))]


def _header(name, text):
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
        raise _BadArgument(f"the header {name} cannot hold control characters")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise _BadArgument(f"the header {name} cannot hold letters beyond Latin-1") from None


def _body(body, arguments, headers):
    if body is None or body["argument"] not in arguments:
        return None
    value, kind = arguments[body["argument"]], body["contentType"]
    headers["Content-Type"] = kind
    if kind.startswith("application/x-www-form-urlencoded"):
        if not isinstance(value, dict):
            raise _BadArgument(f"the argument '{body['argument']}' is no object, which a form is made of")
        pairs = []
        for name, item in _items(value):
            pairs += _pairs({"name": name}, item) if not isinstance(item, dict) else [(_quoted(name), _quoted(_text(item)))]
        return "&".join(f"{name}={item}" for name, item in pairs).encode()
    if kind.startswith("text/"):
        return _text(value).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
