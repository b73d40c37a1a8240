"""Speaks CloudEvents over HTTP with a server by the official Python SDK. Arguments: folder of the SDK, server's URL, token."""
import http.client
import json
import sys

sys.path.insert(0, sys.argv[1])
URL, TOKEN = sys.argv[2:4]

from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured  # noqa: E402
from cloudevents.core.formats.json import JSONFormat  # noqa: E402
from cloudevents_common import check, events  # noqa: E402

FORMAT = JSONFormat()


def send(method, path, headers=None, body=None):
    # Not urllib, which calls every body a form.
    connection = http.client.HTTPConnection(URL.removeprefix("http://"), timeout=20)
    connection.request(method, path, body or None, {**(headers or {}), "Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    message = HTTPMessage(headers=dict(answer.getheaders()), body=answer.read())
    connection.close()
    assert answer.status < 300, f"{method} {path}: {answer.status} {message.body!r}"
    return message


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
