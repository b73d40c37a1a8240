"""Events: made by a handler, or received and read only where the handler looks."""
from apus import _wire as wire
from apus._errors import InvalidData

_UNREAD = object()
_JSON_TYPES = {"application/json": True, "application/octet-stream": False}
OCTETS_TYPE, TEXT_TYPE = "application/octet-stream", "text/plain; charset=utf-8"
_KNOWN = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")


def is_json(content_type):
    """Whether a content type names JSON: application/json, text/json or any +json, whatever its parameters."""
    known = _JSON_TYPES.get(content_type)
    if known is not None:
        return known
    if not content_type:
        return False
    media = content_type.partition(";")[0].strip().lower()
    return media in ("application/json", "text/json") or media.endswith("+json")


class Event:
    """A CloudEvent: attributes, a key, data.

    `data` may be bytes, None (deletes the key from a compacted topic) or anything JSON-able. Attributes that are not
    given are filled in where the event is published. Attributes are read as properties, by name (`event["myextension"]`)
    or all together (`event.attributes`).
    """

    __slots__ = ("_data", "_values", "_key")

    table = False
    replay = False
    topic = None
    partition = None
    offset = None
    headers = ()
    http = None

    def __init__(self, data=None, *, key=None, type=None, source=None, subject=None, id=None, time=None,
                 datacontenttype=None, dataschema=None, attributes=None):
        given = dict(attributes) if attributes else {}
        for name, value in zip(_KNOWN, (id, source, type, subject, time, datacontenttype, dataschema)):
            if value is not None:
                given[name] = value
        for name, value in given.items():
            _check_attribute(name, value)
        if key is not None and not isinstance(key, (str, bytes)):
            raise TypeError(f"the key of an event is a str or bytes, not {key.__class__.__name__}")
        self._data = data
        self._values = given
        self._key = key

    @property
    def attributes(self):
        """Name to value: str, bool, int or bytes."""
        return self._values

    @property
    def data(self):
        return self._data

    @property
    def key(self):
        """str where it is UTF-8, else bytes; None for none."""
        return self._key

    @property
    def id(self):
        return self.attributes.get("id")

    @property
    def source(self):
        return self.attributes.get("source")

    @property
    def type(self):
        return self.attributes.get("type")

    @property
    def subject(self):
        return self.attributes.get("subject")

    @property
    def time(self):
        """RFC 3339 text, as CloudEvents has it."""
        return self.attributes.get("time")

    @property
    def datacontenttype(self):
        return self.attributes.get("datacontenttype")

    @property
    def dataschema(self):
        return self.attributes.get("dataschema")

    def __getitem__(self, name):
        return self.attributes[name]

    def __contains__(self, name):
        return name in self.attributes

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def __repr__(self):
        return f"<apus.Event key={self.key!r} {self.attributes!r}>"

    def _block(self):
        """Key, encoded attributes and data as bytes, None where there is none."""
        values, data = self._values, self._data
        content_type = values.get("datacontenttype")
        if data is not None and not isinstance(data, bytes):
            if isinstance(data, (bytearray, memoryview)):
                data = bytes(data)
            elif isinstance(data, str) and content_type and not is_json(content_type):
                data = data.encode("utf-8")
            elif content_type is None or is_json(content_type):
                from apus._text import encoded

                data = encoded(data)
                content_type = content_type or "application/json"
            else:
                raise TypeError(f"an event of type {content_type} needs its data as bytes or str")
        if data is not None and content_type is None:
            content_type = "application/octet-stream"
        if content_type is not None and "datacontenttype" not in values:
            values = {**values, "datacontenttype": content_type}
        key = self._key
        return key.encode("utf-8") if isinstance(key, str) else key, encode_attributes(values), data


class Received(Event):
    """An event that came from the server: places in the bytes of one read, looked at when asked."""

    __slots__ = ("_bytes", "_head", "_attributes_at", "_data_at", "_end", "_raw", "_headers", "_triggers", "table")

    def __init__(self, chunk, head, attributes_at, data_at, end, raw, triggers, table):
        self._bytes = chunk
        # Where the invoke head starts; the block's head and the key follow it.
        self._head = head
        self._attributes_at = attributes_at
        self._data_at = data_at
        self._end = end
        self._raw = raw
        self._triggers = triggers
        self.table = table
        self._values = None
        self._data = _UNREAD

    @property
    def raw(self):
        """The data as bytes, whatever its type; None for a tombstone."""
        raw = self._raw
        if raw is None:
            raw = self._bytes[self._data_at:self._end]
            if not raw and wire.BLOCK.unpack_from(self._bytes, self._head + wire.INVOKE_HEAD_BYTES)[4] & wire.NULL_DATA:
                return None
            self._raw = raw
        return raw

    @property
    def data(self):
        data = self._data
        if data is _UNREAD:
            data = self.raw
            # Most events of bytes do not name a type at all, and looking for the name is cheaper than reading them all.
            if self._bytes.find(b"datacontenttype", self._attributes_at, self._data_at) >= 0:
                if data is not None and is_json(self.attributes.get("datacontenttype")):
                    data = self._parse(data)
            self._data = data
        return data

    def _parse(self, raw):
        from apus._text import parse

        try:
            return parse(raw)
        except (ValueError, RecursionError) as error:
            raise InvalidData(f"the event's data is not JSON although its datacontenttype says so: {error}") from error

    @property
    def attributes(self):
        values = self._values
        if values is None:
            values = self._values = {}
            headers = self._headers = []
            chunk, at, end = self._bytes, self._attributes_at, self._data_at
            while at < end:
                start = at + 4
                name_end = start + chunk[at]
                value_end = name_end + (chunk[at + 2] | chunk[at + 3] << 8)
                name, value = str(chunk[start:name_end], "utf-8"), chunk[name_end:value_end]
                kind = chunk[at + 1]
                at = value_end
                if kind == 0:
                    values[name] = str(value, "utf-8", "replace")
                elif kind == wire.HEADER_KIND:
                    headers.append((name, value))
                else:
                    values[name] = _decode(kind, value)
        return values

    @property
    def headers(self):
        """Headers of the record that are no attributes: pairs of name and bytes, in order."""
        if self._values is None:
            self.attributes
        return self._headers

    @property
    def http(self):
        """The request that an HTTP trigger took: method, path, params, query, headers; None for everything else."""
        if self._bytes.find(b"apus-http-method", self._attributes_at, self._data_at) < 0:
            return None
        from apus._http import request_of

        return request_of(self.headers)

    @property
    def key(self):
        start = self._head + wire.INVOKE_HEAD_BYTES + wire.BLOCK_BYTES
        if start == self._attributes_at and wire.COUNT.unpack_from(self._bytes, start - 16)[0] == wire.NO_KEY:
            return None
        raw = self._bytes[start:self._attributes_at]
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            return raw

    def _place(self):
        return wire.INVOKE_HEAD.unpack_from(self._bytes, self._head)

    @property
    def topic(self):
        """The topic it was delivered from; None for a direct invocation."""
        trigger = self._place()[1]
        return self._triggers[trigger].get("topic") if trigger < len(self._triggers) else None

    @property
    def partition(self):
        attempt, trigger, partition, _, _, _, _ = self._place()
        return None if trigger == wire.DIRECT else partition

    @property
    def offset(self):
        offset = self._place()[4]
        return None if offset < 0 else offset

    @property
    def replay(self):
        """Whether it is delivered as part of a replay."""
        return bool(self._place()[3] & wire.REPLAY)

    def _block(self):
        start = self._head + wire.INVOKE_HEAD_BYTES + wire.BLOCK_BYTES
        has_no_key = wire.COUNT.unpack_from(self._bytes, start - 16)[0] == wire.NO_KEY
        attributes = self._bytes[self._attributes_at:self._data_at]
        if b"apus-" in attributes:
            # Headers of the platform describe the delivery that this event came with, not the one it goes into.
            attributes = encode_attributes(self.attributes) + b"".join(
                _attribute(name, wire.HEADER_KIND, value) for name, value in self.headers if not name.startswith("apus-"))
        return None if has_no_key else self._bytes[start:self._attributes_at], attributes, self.raw


def _decode(kind, value):
    if kind == 1:
        return value == b"true"
    if kind == 2:
        return int(value)
    if kind == 3:
        return value
    return str(value, "utf-8", "replace")


def _check_attribute(name, value):
    if not isinstance(name, str) or not name.isascii() or not name.isalnum() or name.lower() != name or len(name) > 255:
        raise ValueError(f"{name!r} is no name of an attribute: CloudEvents allows lower-case letters and digits")
    if name in ("specversion", "data"):
        raise ValueError(f"'{name}' cannot be set as an attribute")
    if not isinstance(value, (str, bool, int, bytes)):
        raise TypeError(f"the attribute '{name}' is a str, bool, int or bytes, not {type(value).__name__}")


def _attribute(name, kind, value):
    if len(value) > 0xFFFF:
        raise ValueError(f"the attribute '{name}' has {len(value)} bytes; at most 65535 are allowed")
    raw = name.encode("utf-8")
    return wire.ATTRIBUTE.pack(len(raw), kind, len(value)) + raw + value


def encode_attributes(values):
    parts = []
    for name, value in values.items():
        if isinstance(value, str):
            parts.append(_attribute(name, 6 if name == "time" else 0, value.encode("utf-8")))
        elif isinstance(value, bool):
            parts.append(_attribute(name, 1, b"true" if value else b"false"))
        elif isinstance(value, int):
            parts.append(_attribute(name, 2, str(value).encode()))
        else:
            parts.append(_attribute(name, 3, bytes(value)))
    raw = b"".join(parts)
    if len(raw) > wire.ATTRIBUTES_BYTES or len(parts) > wire.ATTRIBUTES:
        raise ValueError(
            f"the event has {len(parts)} attributes of {len(raw)} bytes; "
            f"at most {wire.ATTRIBUTES} and {wire.ATTRIBUTES_BYTES} are allowed")
    return raw
