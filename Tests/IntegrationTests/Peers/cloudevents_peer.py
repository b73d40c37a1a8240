"""Speaks CloudEvents over HTTP with a server by the official Python SDK. Arguments: folder of the SDK, server's URL, token."""
import http.client
import json
import sys

sys.path.insert(0, sys.argv[1])
URL, TOKEN = sys.argv[2:4]

from datetime import datetime, timezone  # noqa: E402

from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured  # noqa: E402
from cloudevents.core.formats.json import JSONFormat  # noqa: E402
from cloudevents.core.v1.event import CloudEvent  # noqa: E402

FORMAT = JSONFormat()
# What the server says of the place of a record.
PLACES = ("apuspartition", "apusoffset")


def send(method, path, headers=None, body=None):
    # Not urllib, which calls every body a form.
    connection = http.client.HTTPConnection(URL.removeprefix("http://"), timeout=20)
    connection.request(method, path, body or None, {**(headers or {}), "Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    message = HTTPMessage(headers=dict(answer.getheaders()), body=answer.read())
    connection.close()
    assert answer.status < 300, f"{method} {path}: {answer.status} {message.body!r}"
    return message


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


def place(answer):
    written = json.loads(answer.body)["events"]
    return [f"/v1/topics/in/events/{each['partition']}/{each['offset']}" for each in written]


count = 0
for event in events():
    for mode, write in (("binary", to_binary), ("structured", to_structured)):
        message = write(event, FORMAT)
        paths = place(send("POST", "/v1/topics/in/events", message.headers, message.body))
        for accept, is_text in (("*/*", True), ("application/cloudevents+json", mode == "binary")):
            check(event, from_http(send("GET", paths[0], {"Accept": accept}), FORMAT), is_text, f"{mode} read as {accept}")
        for accept, is_text in (("*/*", True), ("application/cloudevents+json", mode == "binary")):
            answer = send("POST", "/v1/functions/worker/invoke", {**message.headers, "Accept": accept}, message.body)
            check(event, from_http(answer, FORMAT), is_text, f"{mode} through a function as {accept}")
        count += 4

batch = list(events())
body = b"[" + b",".join(FORMAT.write(event) for event in batch) + b"]"
paths = place(send("POST", "/v1/topics/in/events", {"Content-Type": "application/cloudevents-batch+json"}, body))
for event, path in zip(batch, paths):
    read = json.loads(send("GET", path, {"Accept": "application/cloudevents-batch+json"}).body)
    check(event, FORMAT.read(None, json.dumps(read[0])), False, "batched")
everything = json.loads(send("GET", "/v1/topics/in/events?limit=100").body)
known = {event.get_attributes()["id"] for event in batch}
assert {FORMAT.read(None, json.dumps(each)).get_attributes()["id"] for each in everything} == known, everything
granted = send("OPTIONS", "/v1/topics/in/events", {"WebHook-Request-Origin": "sender.example.com", "WebHook-Request-Rate": "100"})
assert granted.headers["WebHook-Allowed-Origin"] == "sender.example.com" and granted.headers["WebHook-Allowed-Rate"] == "*", granted
print(f"{count + len(batch)} events in every mode: all read back")
