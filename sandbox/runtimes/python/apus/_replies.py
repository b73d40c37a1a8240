"""Results as frames. Functions append bytes to `out`; nothing here writes."""
from sys import modules

from apus import _wire as wire
from apus._errors import ResultTooLarge
from apus._event import OCTETS_TYPE, Event, _attribute, is_json

OCTETS = _attribute("datacontenttype", 0, b"application/octet-stream")
JSON = _attribute("datacontenttype", 0, b"application/json")
CONTENT = _attribute("datacontenttype", 0, b"application/vnd.apus.content+json")
LINES = _attribute("datacontenttype", 0, b"application/x-ndjson")


def block_of(result):
    """Key, attributes and data of what a handler returned."""
    if result is None:
        return None, b"", None
    if isinstance(result, (bytes, bytearray, memoryview)):
        return None, OCTETS, bytes(result)
    if isinstance(result, Event) or is_response(result):
        return result._block()
    content = modules.get("apus._content")
    if content is not None:
        payload = content.payload_of(result)
        if payload is not None:
            return None, CONTENT, payload
    from apus._text import encoded

    return None, JSON, encoded(result)


def is_response(result):
    """Whether this is an apus.Response, without loading what defines it."""
    return type(result).__name__ == "Response" and type(result).__module__ == "apus._http"


def append_result(out, kind, stream, result):
    """Appends a RESULT or an ITEM_RESULT, in several frames where it is large."""
    key, attributes, data = block_of(result)
    append_block(out, kind, stream, b"", key, attributes, data, wire.LARGE_RESULT_BYTES)


def append_block(out, kind, stream, prefix, key, attributes, data, bytes_max):
    size = 0 if data is None else len(data)
    if size > bytes_max:
        raise ResultTooLarge(
            f"the result has {size} bytes; at most {bytes_max} are allowed: store it elsewhere and return its address")
    key_size = wire.NO_KEY if key is None else len(key)
    if key is not None and key_size > wire.KEY_BYTES:
        raise ValueError(f"the key has {key_size} bytes; at most {wire.KEY_BYTES} are allowed")
    head = wire.BLOCK.pack(0, key_size, len(attributes), size, wire.NULL_DATA if data is None else 0)
    start = b"".join((prefix, head, key or b"", attributes))
    if len(start) + size <= wire.CHUNK_BYTES:
        out.append(wire.HEAD.pack(len(start) + size, kind, 0, wire.VERSION, stream, 0))
        out.append(start)
        if data:
            out.append(data)
        return
    out.append(wire.HEAD.pack(len(start), kind, wire.MORE, wire.VERSION, stream, 0))
    out.append(start)
    view = memoryview(data or b"")
    for at in range(0, max(size, 1), wire.CHUNK_BYTES):
        part = view[at:at + wire.CHUNK_BYTES]
        flags = wire.MORE if at + wire.CHUNK_BYTES < size else 0
        out.append(wire.HEAD.pack(len(part), wire.DATA, flags, wire.VERSION, stream, 0))
        out.append(part)


def part_frames(stream, part):
    """DATA frames of one part of a streamed result, each with `more`."""
    view = memoryview(part)
    frames = []
    for at in range(0, len(view), wire.CHUNK_BYTES):
        piece = view[at:at + wire.CHUNK_BYTES]
        frames.append(wire.HEAD.pack(len(piece), wire.DATA, wire.MORE, wire.VERSION, stream, 0))
        frames.append(piece)
    return b"".join(frames)


class PartWriter:
    """A streamed result: the first part decides what it is, bytes as they are or lines of JSON.

    With a `response` its status, headers and content type hold; where the type is no JSON, parts that are text go as they are.
    """

    def __init__(self, session, stream, response=None):
        self.session = session
        self.stream = stream
        self.response = response
        self.is_bytes = None
        self.sent = 0
        content_type = response and response.content_type
        self.is_text = bool(content_type) and not is_json(content_type) and not content_type.startswith("application/x-ndjson")

    def part(self, value):
        if self.is_text and isinstance(value, str):
            value = value.encode("utf-8")
        is_bytes = isinstance(value, (bytes, bytearray, memoryview))
        if self.is_bytes is None:
            self.is_bytes = is_bytes
            if self.response is not None:
                attributes = self.response.attributes(OCTETS_TYPE if is_bytes else "application/x-ndjson")
            else:
                attributes = OCTETS if is_bytes else LINES
            head = wire.BLOCK.pack(0, wire.NO_KEY, len(attributes), 0, 0)
            self.session.send(wire.frame(wire.RESULT, head + attributes, self.stream, wire.MORE | wire.STREAM))
        elif is_bytes != self.is_bytes:
            raise TypeError("a generator yields either bytes only or no bytes at all: its parts make one result")
        if not is_bytes:
            if isinstance(value, Event):
                raise TypeError("a generator cannot yield an apus.Event: use context.emit for further events")
            from apus._text import encoded

            value = encoded(value) + b"\n"
        self.sent += len(value)
        if self.sent > wire.LARGE_RESULT_BYTES:
            raise ResultTooLarge(f"the parts of the result have more than {wire.LARGE_RESULT_BYTES} bytes")
        self.session.send(part_frames(self.stream, value))

    def end(self):
        if self.is_bytes is None:
            out = []
            if self.response is not None:
                append_block(out, wire.RESULT, self.stream, b"", None, self.response.attributes(None), b"", wire.RESULT_BYTES)
            else:
                append_result(out, wire.RESULT, self.stream, None)
            self.session.send(b"".join(out))
        else:
            self.session.send(wire.frame(wire.DATA, b"", self.stream))


def only(results):
    """The result of the single event of a batch."""
    return listed(results, 1)[0]


def listed(results, count):
    """The results of a batch as a list of the right length."""
    if isinstance(results, (dict, str, bytes, bytearray)) or not hasattr(results, "__iter__"):
        raise TypeError(f"with batch, the handler returns a list of {count} results, not a {type(results).__name__}")
    results = list(results)
    if len(results) != count:
        raise ValueError(f"the handler returned {len(results)} results for {count} events")
    return results
