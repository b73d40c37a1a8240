"""Parts of a tool's result, of a prompt's messages, of a resource: what agents are given."""
from apus._text import encoded

MEDIA_TYPE = "application/vnd.apus.content+json"


def _base64(data):
    from binascii import b2a_base64

    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected bytes, not {type(data).__name__}")
    return str(b2a_base64(data, newline=False), "ascii")


def _text(value, what):
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    return value


class Content:
    """What all parts have: for whom they are, and how much they matter."""

    __slots__ = ("_block",)

    def __init__(self, block, audience=None, priority=None, modified=None):
        annotations = {}
        if audience is not None:
            annotations["audience"] = [audience] if isinstance(audience, str) else list(audience)
        if priority is not None:
            annotations["priority"] = priority
        if modified is not None:
            annotations["lastModified"] = modified
        if annotations:
            block["annotations"] = annotations
        self._block = block


class Text(Content):
    """`apus.Text("hello")`."""

    __slots__ = ()

    def __init__(self, text, **annotations):
        super().__init__({"type": "text", "text": _text(text, "text")}, **annotations)


class Image(Content):
    """`apus.Image(png, "image/png")`."""

    __slots__ = ()

    def __init__(self, data, mime_type="image/png", **annotations):
        super().__init__({"type": "image", "data": _base64(data), "mimeType": _text(mime_type, "mime_type")}, **annotations)


class Audio(Content):
    """`apus.Audio(wav, "audio/wav")`."""

    __slots__ = ()

    def __init__(self, data, mime_type="audio/wav", **annotations):
        super().__init__({"type": "audio", "data": _base64(data), "mimeType": _text(mime_type, "mime_type")}, **annotations)


class Link(Content):
    """Where something lies that the agent may read: `apus.Link("https://example.com/a", "a report")`."""

    __slots__ = ()

    def __init__(self, uri, name, *, title=None, description=None, mime_type=None, size=None, **annotations):
        block = {"type": "resource_link", "uri": _text(uri, "uri"), "name": _text(name, "name")}
        for key, value in (("title", title), ("description", description), ("mimeType", mime_type), ("size", size)):
            if value is not None:
                block[key] = value
        super().__init__(block, **annotations)


class Embedded(Content):
    """A resource with what it holds, str or bytes: `apus.Embedded("test://a", "text", "text/plain")`."""

    __slots__ = ()

    def __init__(self, uri, content, mime_type=None, **annotations):
        resource = {"uri": _text(uri, "uri")}
        if mime_type is not None:
            resource["mimeType"] = mime_type
        if isinstance(content, str):
            resource["text"] = content
        else:
            resource["blob"] = _base64(content)
        super().__init__({"type": "resource", "resource": resource}, **annotations)


class Message:
    """One message of a prompt: `apus.Message("user", apus.Text("hello"))`, or with a str."""

    __slots__ = ("_message",)

    def __init__(self, role, content):
        if role not in ("user", "assistant"):
            raise ValueError(f"the role of a message is user or assistant, not {role!r}")
        self._message = {"role": role, "content": block_of(content)}


class Result:
    """A result whose parts and structured value are chosen apart: `apus.Result([apus.Text("2 found")], {"count": 2})`.

    With `error` it tells the model that the call did not do what it should.
    """

    __slots__ = ("_payload",)

    def __init__(self, content=(), structured=None, *, error=False):
        parts = [content] if isinstance(content, (str, Content)) else list(content)
        self._payload = {"content": [block_of(part) for part in parts]}
        if structured is not None:
            self._payload["structuredContent"] = structured
        if error:
            self._payload["isError"] = True


def block_of(part):
    if isinstance(part, Content):
        return part._block
    if isinstance(part, str):
        return {"type": "text", "text": part}
    raise TypeError(f"a part of a result is apus.Text, Image, Audio, Link, Embedded or a str, not {type(part).__name__}")


def payload_of(result):
    """The bytes of a result that holds parts, None for every other."""
    if isinstance(result, Result):
        return encoded(result._payload)
    if isinstance(result, (Content, Message)):
        result = [result]
    if not isinstance(result, (list, tuple)) or not result:
        return None
    if all(isinstance(part, Message) for part in result):
        return encoded({"content": [part._message for part in result]})
    if any(isinstance(part, Content) for part in result):
        return encoded({"content": [block_of(part) for part in result]})
    return None
