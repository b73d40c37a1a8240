"""Speaks CloudEvents over Kafka and HTTP with a server on it, by the official Python SDK and confluent-kafka.
Arguments: folder of the packages, server's URL, token, the brokers, what topics of this server begin with, the schema or -."""
import http.client
import json
import sys
import time

sys.path.insert(0, sys.argv[1])
URL, TOKEN, BROKERS, PREFIX, SCHEMA = sys.argv[2:7]

from cloudevents.core.bindings import http as ce_http  # noqa: E402
from cloudevents.core.bindings import kafka as ce_kafka  # noqa: E402
from cloudevents.core.formats.json import JSONFormat  # noqa: E402
from cloudevents.core.v1.event import CloudEvent  # noqa: E402
from cloudevents_common import check, events  # noqa: E402
from confluent_kafka import Consumer, Producer  # noqa: E402

FORMAT = JSONFormat()
SECONDS = 60


def send(method, path, headers=None, body=None):
    connection = http.client.HTTPConnection(URL.removeprefix("http://"), timeout=20)
    connection.request(method, path, body or None, {**(headers or {}), "Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status < 300, f"{method} {path}: {answer.status} {body!r}"
    return body


def named(event, mode):
    """The same event under an id of its own."""
    attributes = event.get_attributes()
    return CloudEvent({**attributes, "id": f"{attributes['id']} {mode}"}, event.get_data())


def consume(topic, wanted):
    """Records of a topic, until those that are wanted were there: `wanted` takes a record and says which one it is, or nothing."""
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": f"peer-{time.time_ns()}", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.subscribe([PREFIX + topic])
    found, end = {}, time.time() + SECONDS
    try:
        while time.time() < end:
            record = consumer.poll(0.2)
            if record is None or record.error():
                continue
            name = wanted(record)
            if name is not None:
                found[name] = record
            if wanted.names <= set(found):
                return found
    finally:
        consumer.close()
    raise AssertionError(f"{topic}: of {sorted(wanted.names)} came {sorted(found)}")


class Ids:
    """Asks for events by their ids."""

    def __init__(self, names):
        self.names = set(names)

    def __call__(self, record):
        return dict(record.headers() or []).get("ce_id", b"").decode() or None


class Values:
    """Asks for records by their values."""

    def __init__(self, *names):
        self.names = set(names)

    def __call__(self, record):
        return (record.value() or b"").decode(errors="replace")


def message(record):
    return ce_kafka.KafkaMessage(headers=dict(record.headers()), key=record.key(), value=record.value() or b"")


sent = {}
producer = Producer({"bootstrap.servers": BROKERS})
for event in events():
    for mode, write in (("binary", ce_kafka.to_binary), ("structured", ce_kafka.to_structured)):
        each = named(event, mode)
        record = write(each, FORMAT)
        producer.produce(PREFIX + "in", value=record.value, key=record.key, headers=list(record.headers.items()))
        sent[each.get_attributes()["id"]] = (each, mode == "binary")
for event in events():
    for mode, write in (("HTTP binary", ce_http.to_binary), ("HTTP structured", ce_http.to_structured)):
        each = named(event, mode)
        request = write(each, FORMAT)
        send("POST", "/v1/topics/in/events", request.headers, request.body)
        sent[each.get_attributes()["id"]] = (each, mode == "HTTP binary")
producer.flush(30)

# A function that returns neither data nor a key answers nothing.
silent = {identity for identity, (event, _) in sent.items() if event.get_data() is None}

# Through a function, and out on Kafka: in binary mode, where attributes are text.
for identity, record in consume("out", Ids(set(sent) - silent)).items():
    check(sent[identity][0], ce_kafka.from_kafka(message(record), FORMAT), True, f"{identity} through a function on Kafka")
    names = [name for name, _ in record.headers()]
    assert "ce_datacontenttype" not in names and names.count("ce_specversion") == 1, names
    assert (record.key() is None) == (sent[identity][0].get_extension("partitionkey") is None), identity

# What came over Kafka, read over HTTP.
for topic in ("in", "out"):
    read = json.loads(send("GET", f"/v1/topics/{topic}/events?limit=1000"))
    missing = set(sent) - {each["id"] for each in read}
    assert missing <= (silent if topic == "out" else set()), f"{topic}: {missing}"
    for each in read:
        event, is_text = sent[each["id"]]
        check(event, FORMAT.read(None, json.dumps(each)), is_text, f"{each['id']} on {topic} read over HTTP")
    if SCHEMA != "-":
        import jsonschema

        with open(SCHEMA) as file:
            validator = jsonschema.Draft7Validator(json.load(file))
        for each in read:
            validator.validate(each)

# What came over HTTP, read on Kafka.
by_http = {identity for identity in sent if "HTTP" in identity}
for identity, record in consume("in", Ids(by_http)).items():
    if identity in by_http:
        check(sent[identity][0], ce_kafka.from_kafka(message(record), FORMAT), True, f"{identity} read on Kafka")

# What is no event is a dead letter with its bytes, and holds up nothing.
structured = [("content-type", b"application/cloudevents+json")]
bad = {"{no event": structured, '{"specversion": "1.0"}': structured,
       "old": [("ce_specversion", b"0.3"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t")]}
for value, headers in bad.items():
    producer.produce(PREFIX + "in", value=value.encode(), key=b"k", headers=headers)
last = named(next(events()), "last")
record = ce_kafka.to_structured(last, FORMAT)
producer.produce(PREFIX + "in", value=record.value, key=b"k", headers=list(record.headers.items()))
producer.flush(30)
consume("out", Ids([last.get_attributes()["id"]]))
for value, record in consume("apus.dead", Values(*bad)).items():
    headers = dict(record.headers())
    assert headers["apus-dead-code"] == b"invalid_event" and headers["apus-dead-topic"] == b"in", headers
    assert record.key() == b"k", record.key()
print(f"{len(sent)} events over Kafka and HTTP: all read back")
