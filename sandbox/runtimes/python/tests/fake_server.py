"""The server's side of the worker protocol, for tests: starts a real worker process and speaks with it."""
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import textwrap
import time

RUNTIME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"
DEADLINE_SECONDS = 20

TYPES = {
    "HELLO": 1, "INIT": 2, "READY": 3, "CREDIT": 4, "DRAIN": 5, "PING": 6, "BYE": 7, "SLEEP": 8, "WAKE": 9,
    "INVOKE": 16, "BATCH": 17, "DATA": 18, "RESULT": 19, "ERROR": 20, "ITEM_RESULT": 21, "CANCEL": 22,
    "PROGRESS": 32, "LOG": 33, "EMIT": 34, "CALL": 35, "CALL_RESULT": 36, "INPUT_REQUEST": 37, "INPUT": 38,
}
NAMES = {number: name for name, number in TYPES.items()}
MORE, STREAM, TABLE, DESCRIPTOR, FAILED, ANSWER = 1, 2, 4, 8, 16, 32
NO_KEY = 0xFFFFFFFF
DIRECT = 0xFFFFFFFF


class Frame:
    def __init__(self, kind, flags, stream, deadline, payload):
        self.kind, self.flags, self.stream, self.deadline, self.payload = kind, flags, stream, deadline, payload

    def __repr__(self):
        return f"{self.kind}(flags={self.flags}, stream={self.stream}, {self.payload[:80]!r})"


class WorkerGone(Exception):
    pass


def encode(kind, payload=b"", stream=0, flags=0, deadline=0, version=1):
    return struct.pack("<IBBHQq", len(payload), TYPES.get(kind, kind), flags, version, stream, deadline) + payload


def attributes(pairs):
    raw = b""
    for name, value in pairs:
        kind = 0
        if isinstance(value, tuple):
            kind, value = value
        value = value.encode() if isinstance(value, str) else value
        raw += struct.pack("<BBH", len(name.encode()), kind, len(value)) + name.encode() + value
    return raw


def block(data=None, key=None, pairs=(), size=None):
    raw = attributes(pairs.items() if isinstance(pairs, dict) else pairs)
    size = (0 if data is None else len(data)) if size is None else size
    null = 1 if data is None and size == 0 else 0
    head = struct.pack("<qIIII", 0, NO_KEY if key is None else len(key), len(raw), size, null)
    return head + (key or b"") + raw + (data or b"")


def invoke_head(attempt=1, trigger=DIRECT, partition=0, offset=-1, high=0x0123456789ABCDEF, low=0xFEDCBA9876543210,
                marks=0):
    return struct.pack("<IIIIqQQ", attempt, trigger, partition, marks, offset, high, low)


def parse_block(raw):
    _, key, length, size, flags = struct.unpack_from("<qIIII", raw)
    at = 24
    key_bytes = None
    if key != NO_KEY:
        key_bytes = raw[at:at + key]
        at += key
    pairs, end = {}, at + length
    while at < end:
        name, kind, value = struct.unpack_from("<BBH", raw, at)
        at += 4
        text = raw[at:at + name].decode()
        at += name
        pairs[text] = raw[at:at + value] if kind in (3, 128) else raw[at:at + value].decode()
        at += value
    return Answer(key_bytes, pairs, None if flags & 1 else raw[at:], size)


class Answer:
    def __init__(self, key, pairs, data, size):
        self.key, self.attributes, self.data, self.size = key, pairs, data, size

    @property
    def value(self):
        if self.data is None:
            return None
        if self.attributes.get("datacontenttype") == "application/json":
            return json.loads(self.data)
        return self.data


class Failure:
    def __init__(self, raw):
        kind, _, code, message, detail, after = struct.unpack_from("<BBHIII", raw)
        assert len(raw) == 16 + code + message + detail
        self.kind = ("retryable", "permanent", "poison")[kind]
        self.code = raw[16:16 + code].decode()
        self.message = raw[16 + code:16 + code + message].decode()
        self.detail = raw[16 + code + message:].decode()
        self.after = None if after == 0xFFFFFFFF else after

    def __repr__(self):
        return f"{self.kind} {self.code}: {self.message}\n{self.detail}"


class FakeServer:
    """One worker. `source` is the text of main.py, or a dict of files."""

    def __init__(self, source, handler="main:handle", initialize=True, python=(PYTHON, "-I", "-S", "-B"), layer=None,
                 ancillary=True, environment=None, folder=None, **configuration):
        self.folder = None
        if folder is None:
            self.folder = tempfile.TemporaryDirectory()
            folder = self.folder.name
            files = source if isinstance(source, dict) else {"main.py": source}
            for name, text in files.items():
                with open(os.path.join(folder, name), "w") as file:
                    file.write(textwrap.dedent(text))
        self.path = folder
        self.configuration = {
            "function": "test", "namespace": "default", "revision": "r", "handler": handler, "concurrency": 1,
            "batch": None, "timeoutMicroseconds": 30_000_000, "emits": [], "path": folder, "layer": layer, "weights": None,
            "triggers": [{"name": "in", "topic": "documents", "table": False}], **configuration,
        }
        self.buffer = b""
        self._spawn(list(python), ancillary, environment)
        self.status = None
        if initialize:
            self.hello = self.expect("HELLO")
            self.send("INIT", json.dumps(self.configuration).encode())

    def _spawn(self, python, ancillary, environment):
        def high(descriptor):
            moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
            os.close(descriptor)
            return moved

        to_read, self.to_worker = (high(each) for each in os.pipe())
        self.from_worker, to_write = (high(each) for each in os.pipe())
        out_read, out_write = (high(each) for each in os.pipe())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ancillary, theirs = ours, high(theirs.detach())
        actions = [(os.POSIX_SPAWN_DUP2, to_read, 3), (os.POSIX_SPAWN_DUP2, to_write, 4),
                   (os.POSIX_SPAWN_DUP2, out_write, 1), (os.POSIX_SPAWN_DUP2, out_write, 2)]
        if ancillary:
            actions.append((os.POSIX_SPAWN_DUP2, theirs, 5))
        command = [*python, os.path.join(RUNTIME, "apus", "__main__.py")]
        self.pid = os.posix_spawn(command[0], command, environment or {"HOME": "/tmp"}, file_actions=actions)
        for descriptor in (to_read, to_write, out_write, theirs):
            os.close(descriptor)
        self.printed_from = out_read

    # Sending.

    def write(self, raw):
        view = memoryview(raw)
        while view:
            view = view[os.write(self.to_worker, view):]

    def send(self, kind, payload=b"", stream=0, flags=0, deadline=0):
        self.write(encode(kind, payload, stream, flags, deadline))

    def invoke(self, stream, data=b"", key=None, pairs=(), flags=0, deadline=0, **head):
        self.send("INVOKE", invoke_head(**head) + block(data, key, pairs), stream, flags, deadline)

    def invoke_json(self, stream, value, **more):
        pairs = {"datacontenttype": "application/json", **more.pop("pairs", {})}
        self.invoke(stream, json.dumps(value).encode(), pairs=pairs, **more)

    def invoke_in_parts(self, stream, data, first=1000, part=60_000, pairs=()):
        self.send("INVOKE", invoke_head() + block(data[:first], None, pairs, len(data)), stream, MORE)
        for at in range(first, len(data), part):
            self.send("DATA", data[at:at + part], stream, MORE if at + part < len(data) else 0)

    def batch(self, items, flags=0):
        """`items`: pairs of stream and block, or of stream, block and the arguments of its invoke head."""
        raw = struct.pack("<II", len(items), 0)
        for stream, event, *head in items:
            event = invoke_head(**(head[0] if head else {})) + event
            raw += struct.pack("<QII", stream, len(event), 0) + event
        self.send("BATCH", raw, 0, flags)

    def memory(self, stream, data, sealed=True):
        descriptor = os.memfd_create("data", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.write(descriptor, data)
        if sealed:
            fcntl.fcntl(descriptor, 1033, 0x1 | 0x2 | 0x4 | 0x8)
        socket.send_fds(self.ancillary, [struct.pack("<Q", stream)], [descriptor])
        os.close(descriptor)

    # Receiving.

    def receive(self, deadline=None):
        deadline = deadline or time.monotonic() + DEADLINE_SECONDS
        while True:
            if len(self.buffer) >= 24:
                length, kind, flags, version, stream, at = struct.unpack_from("<IBBHQq", self.buffer)
                assert version == 1 and length <= 256 * 1024 - 24, (version, length)
                if len(self.buffer) >= 24 + length:
                    payload = self.buffer[24:24 + length]
                    self.buffer = self.buffer[24 + length:]
                    return Frame(NAMES[kind], flags, stream, at, payload)
            ready, _, _ = select.select([self.from_worker], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the worker did not answer in time; it printed:\n" + self.printed(False))
            raw = os.read(self.from_worker, 1 << 20)
            if not raw:
                raise WorkerGone(self.printed())
            self.buffer += raw

    def expect(self, kind, stream=None):
        frame = self.receive()
        if frame.kind != kind or (stream is not None and frame.stream != stream):
            extra = repr(Failure(frame.payload)) if frame.kind == "ERROR" else ""
            raise AssertionError(f"expected {kind} on {stream}, got {frame!r} {extra}")
        return frame

    def ready(self):
        self.abilities = self.expect("READY").payload
        self.credit = struct.unpack("<I", self.expect("CREDIT").payload)[0]
        return self

    def whole(self, kind, stream=None):
        """A RESULT or ITEM_RESULT with all of its DATA."""
        frame = self.expect(kind, stream)
        if frame.flags & FAILED:
            return Failure(frame.payload)
        answer = parse_block(frame.payload)
        flags = frame.flags
        answer.parts = []
        while flags & MORE:
            more = self.expect("DATA", frame.stream)
            answer.parts.append(more.payload)
            flags = more.flags
        if answer.parts:
            answer.data = (answer.data or b"") + b"".join(answer.parts)
        answer.is_stream = bool(frame.flags & STREAM)
        if not answer.is_stream:
            assert answer.size == len(answer.data or b""), (answer.size, len(answer.data or b""))
        answer.stream = frame.stream
        return answer

    def result(self, stream=None):
        return self.whole("RESULT", stream)

    def error(self, stream=None):
        return Failure(self.expect("ERROR", stream).payload)

    def printed(self, to_the_end=True):
        parts = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            wait = max(0, deadline - time.monotonic()) if to_the_end else 0.05
            if not select.select([self.printed_from], [], [], wait)[0]:
                break
            raw = os.read(self.printed_from, 1 << 16)
            if not raw:
                break
            parts.append(raw)
        return b"".join(parts).decode(errors="replace")

    # The end.

    def wait(self):
        """The worker's exit code; negative for a signal."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        if self.status is None:
            pidfd = os.pidfd_open(self.pid)
            try:
                if not select.select([pidfd], [], [], max(0, deadline - time.monotonic()))[0]:
                    raise TimeoutError("the worker did not end")
            finally:
                os.close(pidfd)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def drain(self):
        self.send("DRAIN")
        self.expect("BYE")
        return self.wait()

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.wait()
        for descriptor in (self.to_worker, self.from_worker, self.printed_from):
            if descriptor is not None:
                os.close(descriptor)
        self.to_worker = self.from_worker = self.printed_from = None
        self.ancillary.close()
        if self.folder is not None:
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
