"""Events that the peers of CloudEvents send, and how they compare what comes back. The SDK is on the path."""
from datetime import datetime, timezone

from cloudevents.core.v1.event import CloudEvent

# What the server says of the place of a record.
PLACES = ("apuspartition", "apusoffset")


def events():
    """Events with everything that modes treat differently."""
    time = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone.utc)
    yield CloudEvent({"id": "1", "type": "com.example.plain", "source": "/peer", "time": time, "datacontenttype": "application/json"},
                     {"a": [1, 2.5, None, True, "žluťoučký 😀"]})
    yield CloudEvent({"id": "ünïcode €😀", "type": "größe 100%", "source": "https://example.com/a?b=1#c", "subject": "a \"b\" c%20d",
                      "time": time, "datacontenttype": "text/plain", "partitionkey": "ключ"}, "text, žluťoučký")
    yield CloudEvent({"id": "3", "type": "t", "source": "urn:uuid:1", "time": time, "datacontenttype": "application/octet-stream"},
                     bytes(range(256)))
    yield CloudEvent({"id": "4", "type": "t", "source": "/peer", "time": time, "dataschema": "https://example.com/schema",
                      "datacontenttype": "application/vnd.example+json", "comexampleextension": "value", "sequence": "00042"}, [1, 2])
    yield CloudEvent({"id": "5", "type": "t", "source": "/peer", "time": time, "count": 2147483647, "negative": -7, "flag": True}, None)


def attributes(event, is_text):
    """As the event says them; headers know only text."""
    values = {name: value for name, value in event.get_attributes().items() if name not in PLACES and name != "partitionkey"}
    if is_text:
        values = {name: text(value) for name, value in values.items()}
    return values


def text(value):
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, datetime) else str(value)


def check(sent, got, is_text, what):
    wanted, found = attributes(sent, is_text), attributes(got, is_text)
    # The SDK writes True, Apus true: in headers both are only text.
    for values in (wanted, found):
        if is_text and "flag" in values:
            values["flag"] = values["flag"].lower()
    assert found == wanted, f"{what}: {found} != {wanted}"
    assert data(got) == data(sent), f"{what}: {data(got)!r} != {data(sent)!r}"


def data(event):
    """Bytes, text and no data read alike whatever the mode."""
    value = event.get_data()
    if isinstance(value, str) and "json" not in event.get_attributes().get("datacontenttype", "json"):
        return value.encode()
    return value or None
