"""An MCP server that others run, over HTTP, as a function: `runtime: mcp` with a URL.

The data is `{"method": …, "params": …}`, the result the message that answers it. What the caller's client can be asked may stand before them as
`capabilities`, and what it has answered already as `answers`. Requests go through the egress process, which checks the
host, encrypts, and puts credentials in: neither they nor the token of whoever calls are ever here. It first speaks the revision 2026-07-28,
and with a server that knows it not, those with a handshake. Such a server asks while a call is under way and waits: the call is given up then, the
question is the result, and the call is made again with the answer, which the server gets as soon as it asks the same again.
"""
import asyncio
import base64
import hashlib
import json
import os

from apus._errors import Reject
from apus._event import Event

PROXY = ("127.0.0.1", 3128)
MODERN = "2026-07-28"
LIST_CHANGED = tuple(f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources"))
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
CLIENT = {"name": "apus", "version": "1"}
META = "io.modelcontextprotocol/"
# All that one request may be answered with, and one line of a head.
ANSWER_BYTES_MAX = 4 * 1024 * 1024
LINE_BYTES_MAX = 64 * 1024
HEADERS_MAX = 100
# Of an answer that is an error, as much as helps to understand it.
EXCERPT_CHARACTERS = 500


class Unreachable(RuntimeError):
    """No answer that could be the upstream's: worth another try."""


class _Asked(Exception):
    """A server that waits for an answer which nobody has yet."""

    def __init__(self, name, method, params):
        super().__init__("the upstream asks")
        self.name, self.method, self.params = name, method, params


class Client:
    """Whoever calls: what its client can be asked, and what it has answered."""

    def __init__(self, capabilities, answers):
        self.capabilities, self.answers = capabilities, answers
        self.asked = {}

    def can(self, method, params):
        if method == "sampling/createMessage":
            sampling = self.capabilities.get("sampling")
            return isinstance(sampling, dict) and ("tools" not in params or "tools" in sampling)
        elicitation = self.capabilities.get("elicitation")
        if method != "elicitation/create" or not isinstance(elicitation, dict):
            return False
        if params.get("mode") == "url":
            return "url" in elicitation
        return "form" in elicitation or "url" not in elicitation

    def answer(self, method, params):
        """Raises what is to be asked where there is none. A question is known by what it says: no answer is one to another question."""
        text = json.dumps([method, params], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.asked[digest] = self.asked.get(digest, 0) + 1
        name = f"{digest}-{self.asked[digest]}"
        if name not in self.answers:
            raise _Asked(name, method, params)
        return self.answers[name]


class _Refused(Exception):
    """A status that says the request was not understood."""

    def __init__(self, status, text):
        super().__init__(f"the upstream answered {status}: {text}")
        self.status = status


class _Head:
    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.kind = headers.get("content-type", "").partition(";")[0].strip().lower()


async def _line(reader):
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise Unreachable("the upstream's answer has a line that is too long") from None
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Unreachable("the connection broke in the middle of the answer") from None
        return b""
    return line.rstrip(b"\r\n")


async def _head(reader):
    """The head of an answer, and what is no final one passed over."""
    while True:
        words = (await _line(reader)).split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise Unreachable("the upstream closed the connection without an answer")
        headers = {}
        for _ in range(HEADERS_MAX):
            line = await _line(reader)
            if not line:
                break
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        else:
            raise Unreachable("the upstream's answer has too many headers")
        if int(words[1]) >= 200:
            return _Head(int(words[1]), headers)


async def _parts(reader, head):
    """The body as it comes."""
    total = 0
    async for part in _framed(reader, head.headers):
        total += len(part)
        if total > ANSWER_BYTES_MAX:
            raise Reject(f"the upstream answered more than {ANSWER_BYTES_MAX} bytes")
        yield part


async def _framed(reader, headers):
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = (await _line(reader)).partition(b";")[0]
            try:
                left = int(size, 16)
            except ValueError:
                raise Unreachable("the upstream's answer is not framed as its head says") from None
            if left == 0:
                return
            while left > 0:
                part = await reader.read(min(left, 65536))
                if not part:
                    raise Unreachable("the connection broke in the middle of the answer")
                left -= len(part)
                yield part
            await _line(reader)
    length = headers.get("content-length")
    left = int(length) if length and length.isdigit() else None
    while left is None or left > 0:
        part = await reader.read(65536 if left is None else min(left, 65536))
        if not part:
            if left:
                raise Unreachable("the connection broke in the middle of the answer")
            return
        if left is not None:
            left -= len(part)
        yield part


async def _events(parts):
    """The data of server-sent events."""
    buffer, data = b"", []
    async for part in parts:
        buffer += part
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            line = line.rstrip(b"\r")
            if not line:
                if data:
                    yield b"\n".join(data)
                data = []
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))


def _object(raw):
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _header(value):
    """A text as a header carries it (2026-07-28, `Mcp-Name`)."""
    plain = all(0x20 <= ord(letter) < 0x7F for letter in value) and value == value.strip() and not value.startswith("=?base64?")
    return value if plain else "=?base64?" + base64.b64encode(value.encode()).decode() + "?="


class Upstream:
    """The connection to one server: which revision it speaks, and its session where that has one."""

    def __init__(self, url):
        self.url = url
        self.host = url.split("/", 3)[2]
        self.version = None
        self.session = None
        self.next = 0
        self.lock = asyncio.Lock()
        self.has_list_changed = False

    @property
    def is_modern(self):
        return self.version == MODERN

    # One request.

    def _request(self, message, version):
        headers = {
            "Host": self.host, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "User-Agent": "apus", "Connection": "close",
        }
        if version:
            headers["MCP-Protocol-Version"] = version
        if version == MODERN:
            headers["Mcp-Method"] = message["method"]
            params = message.get("params", {})
            name = params.get("uri") if message["method"] == "resources/read" else params.get("name")
            if isinstance(name, str) and message["method"] in ("tools/call", "prompts/get", "resources/read"):
                headers["Mcp-Name"] = _header(name)
        elif self.session and message.get("method") != "initialize":
            headers["Mcp-Session-Id"] = self.session
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Length"] = str(len(body))
        lines = [f"POST {self.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    async def send(self, message, version, context=None, client=None):
        """Sends a message. Returns the bytes of the message that answers it, and the head; None for what none is due to."""
        try:
            reader, writer = await asyncio.open_connection(*PROXY, limit=LINE_BYTES_MAX)
        except OSError as error:
            raise Unreachable(f"there is no way out: {error}") from None
        try:
            writer.write(self._request(message, version))
            await writer.drain()
            head = await _head(reader)
            return await self._answer(message, head, _parts(reader, head), context, client), head
        except OSError as error:
            raise Unreachable(f"the connection broke: {error}") from None
        finally:
            writer.close()

    async def _answer(self, message, head, parts, context, client):
        # None is due to notices, nor to our own answers.
        if "id" not in message or "method" not in message:
            return None
        if head.status < 300 and head.kind == "text/event-stream":
            async for raw in _events(parts):
                if await self._take(raw, message, context, client):
                    return raw
            raise Unreachable("the upstream ended its stream without an answer")
        raw = b"".join([part async for part in parts])
        value = _object(raw) if head.kind == "application/json" else None
        if value is not None and ("result" in value or "error" in value) and head.status not in (401, 403):
            # An error that came before the request was read has no id.
            if value.get("id") in (message["id"], None):
                return raw
        self._refuse(head, raw)

    def _refuse(self, head, raw):
        text = " ".join(raw.decode("utf-8", "replace").split())[:EXCERPT_CHARACTERS]
        if 300 <= head.status < 400:
            raise Reject(f"the upstream points to another place ({head.status}), which is not followed")
        if head.status in (401, 403, 407):
            raise Reject(f"the upstream or the way out refused ({head.status}): {text}")
        if 400 <= head.status < 500 and head.status not in (408, 429):
            raise _Refused(head.status, text)
        raise Unreachable(f"the upstream answered {head.status}: {text}")

    async def _take(self, raw, message, context, client):
        """One message of a stream. Returns whether it is the answer."""
        value = _object(raw)
        if value is None:
            return False
        method = value.get("method")
        if method is None:
            return value.get("id") == message["id"] and ("result" in value or "error" in value)
        if "id" in value:
            # Without a handshake no server asks in this way, and no answer to it would be taken.
            if self.version == MODERN:
                return False
            await self.send({"jsonrpc": "2.0", "id": value["id"], **_reply(value, client)}, self.version)
        elif method in LIST_CHANGED:
            self.has_list_changed = True
        elif method == "notifications/progress" and context is not None:
            self._progress(value.get("params") or {}, message, context)
        return False

    def _progress(self, params, message, context):
        token = message.get("params", {}).get("_meta", {}).get("progressToken")
        done, total = params.get("progress"), params.get("total")
        if token is None or params.get("progressToken") != token or not _is_count(done):
            return
        total = total if _is_count(total) else 0
        # Progress is told in whole numbers: a share of one in thousandths.
        scale = 1000 if 0 < total <= 1 else 1
        said = params.get("message")
        context.progress(int(done * scale), int(total * scale), said[:4096] if isinstance(said, str) else "")

    # What is spoken.

    async def begin(self):
        async with self.lock:
            if self.version is None:
                self.version = MODERN if await self._discover() else await self._initialize()

    async def _discover(self):
        try:
            raw, _ = await self.send(self.message("server/discover", {}, MODERN), MODERN)
        except _Refused:
            return False
        versions = ((_object(raw) or {}).get("result") or {}).get("supportedVersions")
        return isinstance(versions, list) and MODERN in versions

    async def _initialize(self):
        self.session = None
        # One session serves callers of all kinds: those whose client cannot be asked are refused for, one by one.
        params = {"protocolVersion": LEGACY[0], "capabilities": {"elicitation": {}, "sampling": {}}, "clientInfo": CLIENT}
        try:
            raw, head = await self.send(self.message("initialize", params, None), None)
        except _Refused as error:
            raise Reject(f"the upstream takes neither `server/discover` nor `initialize`: {error}") from None
        answer = _object(raw) or {}
        version = (answer.get("result") or {}).get("protocolVersion")
        if version not in LEGACY:
            said = json.dumps(answer.get("error") or version)[:EXCERPT_CHARACTERS]
            raise Reject(f"the upstream speaks no revision that is known here: {said}")
        session = head.headers.get("mcp-session-id")
        self.session = session if session and all(0x21 <= ord(letter) < 0x7F for letter in session) else None
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, version)
        return version

    def message(self, method, params, version, capabilities=None):
        self.next += 1
        if version == MODERN:
            meta = {META + "protocolVersion": MODERN, META + "clientInfo": CLIENT,
                    META + "clientCapabilities": capabilities or {}}
            params = {**params, "_meta": {**meta, **(params.get("_meta") or {})}}
        return {"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}

    async def call(self, method, params, context, client=None):
        client = client or Client({}, {})
        for attempt in (1, 2):
            await self.begin()
            version = self.version
            message = self.message(method, params, version, client.capabilities)
            client.asked = {}
            try:
                raw, _ = await self.send(message, version, context, client)
                return raw
            except _Asked as asked:
                await self._cancel(message, version)
                return _question(asked)
            except _Refused as error:
                # A session that the upstream knows no more; what it was asked for it has not done.
                if attempt == 2 or error.status != 404 or self.session is None:
                    raise Unreachable(str(error)) from None
                if self.version == version:
                    self.version = None
            except asyncio.CancelledError:
                await self._cancel(message, version)
                raise

    async def _cancel(self, message, version):
        """A connection that is closed says it all, but to a server of before."""
        if version == MODERN:
            return
        notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": message["id"]}}
        try:
            await asyncio.wait_for(self.send(notice, version), 1)
        except (Exception, asyncio.CancelledError):
            # Nobody is left to be told.
            pass


def _reply(request, client):
    """What a server with a handshake is told that asks something."""
    method, params = request["method"], request.get("params")
    params = params if isinstance(params, dict) else {}
    if method == "ping":
        return {"result": {}}
    if client is None or not client.can(method, params):
        return {"error": {"code": -32601, "message": "the client of whoever calls cannot be asked for this"}}
    answer = client.answer(method, params)
    if answer.get("error"):
        return {"error": {"code": -32603, "message": "the client of whoever calls could not answer"}}
    return {"result": answer}


def _question(asked):
    """As a server without handshakes asks, but that the call is to be made again with all answers."""
    requests = {asked.name: {"method": asked.method, "params": asked.params}}
    message = {"result": {"resultType": "input_required", "inputRequests": requests}, "again": True}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _is_count(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15


_upstream = None


async def call(event, context):
    global _upstream
    request = event.data
    known = {"method", "params", "capabilities", "answers"}
    if not isinstance(request, dict) or not isinstance(request.get("method"), str) or request.keys() - known:
        raise Reject("the data must be a JSON object with `method` and, where there are any, `params`")
    capabilities, answers = request.get("capabilities", {}), request.get("answers", {})
    if not isinstance(capabilities, dict) or not isinstance(answers, dict) or not all(
            isinstance(answer, dict) for answer in answers.values()):
        raise Reject("`capabilities` and `answers` must be objects")
    params = request.get("params", {})
    if not isinstance(params, dict):
        raise Reject("`params` must be an object")
    if _upstream is None:
        _upstream = Upstream(os.environ["APUS_UPSTREAM_URL"])
    raw = await _upstream.call(request["method"], params, context, Client(capabilities, answers))
    changed, _upstream.has_list_changed = _upstream.has_list_changed, False
    return Event(raw, datacontenttype="application/json", attributes={"listchanged": "true"} if changed else None)
