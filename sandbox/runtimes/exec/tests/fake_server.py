"""The server's side of the worker protocol, for tests of the worker for exec: a real process on real pipes."""
import fcntl
import importlib.util
import json
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.dirname(HERE)
DEADLINE_SECONDS = 60

# The frames are those of the tests of the worker for Python: one encoder for both.
_spec = importlib.util.spec_from_file_location("wire", os.path.join(SOURCES, "..", "python", "tests", "fake_server.py"))
wire = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wire)

_built = None


def worker():
    """The worker, built with the address and undefined-behaviour sanitizers; once per run."""
    global _built
    if _built is None:
        folder = tempfile.TemporaryDirectory()
        compiler = shutil.which("gcc") or shutil.which("clang") or "cc"
        common = os.path.join(SOURCES, "..", "common")
        sources = sorted(os.path.join(place, name) for place in (common, SOURCES) for name in os.listdir(place)
                         if name.endswith(".c"))
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
                        "-fno-sanitize-recover=all", "-I", os.path.join(common, "include"),
                        "-o", os.path.join(folder.name, "worker"), *sources], check=True)
        _built = folder
    return os.path.join(_built.name, "worker")


class ExecWorker:
    """One worker with a bundle of its own. `files` maps names to texts; scripts become executable."""

    def __init__(self, files, handler, environment=None, initialize=True, pipe_bytes=None, **configuration):
        self.folder = tempfile.TemporaryDirectory()
        for name, text in files.items():
            path = os.path.join(self.folder.name, name)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, 0o755 if text.startswith("#!") else 0o644)
        to_worker, self.to_worker = os.pipe()
        self.from_worker, from_worker = os.pipe()
        self.errors = tempfile.TemporaryFile()

        def place():
            # Above what they are put at, so that neither is closed before it was copied.
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_worker, from_worker)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)
            os.closerange(5, 64)

        variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
        self.process = subprocess.Popen([worker()], stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                                        env=variables, preexec_fn=place, close_fds=False)
        os.close(to_worker)
        os.close(from_worker)
        if pipe_bytes:
            fcntl.fcntl(self.from_worker, 1031, pipe_bytes)  # F_SETPIPE_SZ, as the nursery's pipes have
        os.set_blocking(self.to_worker, False)
        self.buffer = b""
        self.logs = []
        self.stream = 0
        self.parts = {}
        if initialize:
            self.hello = self.frame()
            assert self.hello.kind == "HELLO", self.hello
            self.send(wire.encode("INIT", json.dumps({
                "function": "tested", "namespace": "default", "revision": "r1", "handler": handler, "concurrency": 1,
                "batch": None, "path": self.folder.name, "layer": None, "weights": None, "unknown": {"a": [1, "}"]},
                "triggers": [{"name": "documents", "topic": "documents", "table": False}], "emits": [],
                **configuration}).encode()))

    def ready(self):
        frame = self.frame()
        assert frame.kind == "READY", frame
        frame = self.frame()
        assert frame.kind == "CREDIT", frame
        self.credit = struct.unpack("<I", frame.payload)[0]
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for end in (self.to_worker, self.from_worker):
            try:
                os.close(end)
            except OSError:
                pass
        if self.process.poll() is None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.errors.close()
        self.folder.cleanup()

    def printed(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def send(self, raw):
        """Writes all of it, reading meanwhile, as the server does."""
        end = time.monotonic() + DEADLINE_SECONDS
        while raw:
            readable, writable, _ = select.select([self.from_worker], [self.to_worker], [], end - time.monotonic())
            assert readable or writable, "the worker neither reads nor writes"
            if readable:
                self._read()
            if writable:
                raw = raw[os.write(self.to_worker, raw[:65536]):]

    def _read(self):
        got = os.read(self.from_worker, 1 << 20)
        if not got:
            raise wire.WorkerGone(self.printed())
        self.buffer += got

    def frame(self, seconds=DEADLINE_SECONDS):
        """The next frame but LOG, which is kept."""
        end = time.monotonic() + seconds
        while True:
            if len(self.buffer) >= 24:
                length, kind, flags, version, stream, deadline = struct.unpack_from("<IBBHQq", self.buffer)
                assert version == 1 and length <= 262120, (version, length)
                if len(self.buffer) >= 24 + length:
                    frame = wire.Frame(wire.NAMES[kind], flags, stream, deadline, self.buffer[24:24 + length])
                    self.buffer = self.buffer[24 + length:]
                    if frame.kind == "LOG":
                        self.logs.append((frame.stream, frame.payload[0], frame.payload[1:].decode(errors="replace")))
                        continue
                    return frame
            readable, _, _ = select.select([self.from_worker], [], [], max(0, end - time.monotonic()))
            assert readable, f"no frame within {seconds} s: {self.printed()}"
            self._read()

    def invoke(self, data=b"", key=None, pairs=(), deadline=0, **head):
        """Sends one event, in DATA frames when it is large; returns its stream."""
        self.stream += 1
        block = wire.block(data, key, pairs)
        payload = wire.invoke_head(**head) + block
        room = 262120
        if len(payload) <= room:
            self.send(wire.encode("INVOKE", payload, self.stream, 0, deadline))
            return self.stream
        self.send(wire.encode("INVOKE", payload[:room], self.stream, wire.MORE, deadline))
        rest = payload[room:]
        while rest:
            part, rest = rest[:room], rest[room:]
            self.send(wire.encode("DATA", part, self.stream, wire.MORE if rest else 0))
        return self.stream

    def answer(self):
        """The stream of the next final frame, and an Answer or a Failure."""
        # The frames of several streams come in between each other.
        while True:
            frame = self.frame()
            if frame.kind == "ERROR":
                return frame.stream, wire.Failure(frame.payload)
            assert frame.kind == ("DATA" if frame.stream in self.parts else "RESULT"), frame
            self.parts.setdefault(frame.stream, []).append(frame.payload)
            if not frame.flags & wire.MORE:
                break
        stream, parts = frame.stream, self.parts.pop(frame.stream)
        answer = wire.parse_block(b"".join(parts))
        assert answer.data is None or answer.size == len(answer.data), (answer.size, len(answer.data))
        return stream, answer

    def call(self, *arguments, **more):
        stream = self.invoke(*arguments, **more)
        answered, answer = self.answer()
        assert answered == stream, (answered, stream)
        return answer

    def drain(self):
        self.send(wire.encode("DRAIN"))
        frame = self.frame()
        assert frame.kind == "BYE", frame
        assert self.process.wait(DEADLINE_SECONDS) == 0, self.printed()


def ends_with(ended, code):
    """Waits for the worker's end; its exit code must be this one."""
    got = ended.process.wait(DEADLINE_SECONDS)
    assert got == code, f"exit code {got}: {ended.printed()}"


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(condition, seconds=DEADLINE_SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.01)
    return True

