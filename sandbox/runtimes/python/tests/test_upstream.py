"""The runtime mcp with a URL: what is sent through the way out, and what is made of what comes back."""
import asyncio
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
os.environ.setdefault("APUS_UPSTREAM_URL", "https://tools.example.com/mcp")

from apus import _upstream  # noqa: E402
from apus._errors import Reject  # noqa: E402


class Context:
    def __init__(self):
        self.told = []

    def progress(self, done, total, message):
        self.told.append((done, total, message))


class Proxy:
    """A proxy that answers by itself: `answer(request)` gives status, headers and body, or bytes to send as they are."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.closed = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        _upstream.PROXY = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append((head[0], headers, body))
        answer = self.answer(headers, body)
        if answer is None:
            await reader.read()
            self.closed.set()
            writer.close()
            return
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            status, more, text = answer
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *(f"{a}: {b}" for a, b in more.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + text)
        await writer.drain()
        writer.close()


def answered(body, result, status=200, **headers):
    text = json.dumps({"jsonrpc": "2.0", "id": body.get("id"), "result": result}).encode()
    return status, {"Content-Type": "application/json", **headers}, text


def refused(body, code, status=400):
    text = json.dumps({"jsonrpc": "2.0", "id": body.get("id"), "error": {"code": code, "message": "no"}}).encode()
    return status, {"Content-Type": "application/json"}, text


def modern(then):
    def answer(headers, body):
        if body["method"] == "server/discover":
            return answered(body, {"resultType": "complete", "supportedVersions": ["2026-07-28"]})
        return then(headers, body)
    return answer


def legacy(then, session="s-1"):
    def answer(headers, body):
        if body["method"] == "server/discover":
            return refused(body, -32601, 404)
        if body["method"] == "initialize":
            return answered(body, {"protocolVersion": "2025-06-18"}, **({"Mcp-Session-Id": session} if session else {}))
        if "id" not in body:
            return 202, {}, b""
        return then(headers, body)
    return answer


class UpstreamTests(unittest.IsolatedAsyncioTestCase):
    async def ask(self, answer, method="tools/call", params=None, context=None, capabilities=None, answers=None):
        async with Proxy(answer) as proxy:
            upstream = _upstream.Upstream("https://tools.example.com/mcp?x=1")
            client = _upstream.Client(capabilities or {}, answers or {})
            raw = await upstream.call(method, params or {"name": "a", "arguments": {}}, context or Context(), client)
            return proxy, upstream, json.loads(raw)

    async def test_the_newest_revision_is_spoken_first_with_its_headers(self):
        proxy, upstream, message = await self.ask(
            modern(lambda headers, body: answered(body, {"ok": True})), params={"name": "wörter", "arguments": {"n": 2**70}})
        self.assertTrue(upstream.is_modern)
        self.assertEqual(message["result"], {"ok": True})
        line, headers, body = proxy.requests[-1]
        self.assertEqual(line, "POST https://tools.example.com/mcp?x=1 HTTP/1.1")
        self.assertEqual(headers["host"], "tools.example.com")
        self.assertEqual((headers["mcp-protocol-version"], headers["mcp-method"]), ("2026-07-28", "tools/call"))
        self.assertTrue(headers["mcp-name"].startswith("=?base64?"))
        self.assertEqual(body["params"]["arguments"], {"n": 2**70})
        self.assertEqual(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28")
        self.assertNotIn("authorization", headers)

    async def test_a_server_of_before_gets_a_handshake_and_its_session(self):
        proxy, upstream, message = await self.ask(legacy(lambda headers, body: answered(body, headers.get("mcp-session-id"))))
        self.assertEqual(message["result"], "s-1")
        self.assertEqual([body["method"] for _, _, body in proxy.requests],
                         ["server/discover", "initialize", "notifications/initialized", "tools/call"])
        self.assertEqual(proxy.requests[-1][1]["mcp-protocol-version"], "2025-06-18")

    async def test_a_session_that_is_forgotten_is_begun_again_once(self):
        seen = []

        def then(headers, body):
            seen.append(body["id"])
            return (404, {}, b"no session") if len(seen) == 1 else answered(body, "again")
        _, _, message = await self.ask(legacy(then))
        self.assertEqual((message["result"], len(seen)), ("again", 2))

    async def test_progress_and_the_answer_come_in_a_stream(self):
        def then(headers, body):
            events = [
                {"method": "notifications/progress", "params": {"progressToken": "t", "progress": 0.5, "total": 1, "message": "half"}},
                {"method": "notifications/progress", "params": {"progressToken": "other", "progress": 1}},
                {"method": "notifications/tools/list_changed"},
                {"id": 999, "result": "another's"},
                {"id": body["id"], "result": "done"},
            ]
            text = ": comment\r\n\r\n" + "".join(f"data: {json.dumps(event)}\r\n\r\n" for event in events)
            parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:7].encode(), text[7:].encode()))
            return (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n")
        context = Context()
        _, upstream, message = await self.ask(
            modern(then), params={"name": "a", "_meta": {"progressToken": "t"}}, context=context)
        self.assertEqual(message["result"], "done")
        self.assertEqual(context.told, [(500, 1000, "half")])
        self.assertTrue(upstream.has_list_changed)

    async def test_a_server_is_told_what_the_callers_client_can_be_asked(self):
        proxy, _, _ = await self.ask(modern(lambda headers, body: answered(body, {})), capabilities={"elicitation": {}})
        meta = proxy.requests[-1][2]["params"]["_meta"]
        self.assertEqual(meta["io.modelcontextprotocol/clientCapabilities"], {"elicitation": {}})
        self.assertEqual(proxy.requests[0][2]["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"], {})

    async def test_what_a_server_without_handshakes_asks_is_the_result_as_it_came(self):
        asked = {"resultType": "input_required", "inputRequests": {"who": {"method": "elicitation/create", "params": {}}},
                 "requestState": "opaque"}
        _, _, message = await self.ask(modern(lambda headers, body: answered(body, asked)), capabilities={"elicitation": {}})
        self.assertEqual(message["result"], asked)
        self.assertNotIn("again", message)

    # A server with handshakes asks in the middle of a call and waits.

    FORM = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}

    def asking(self, told, *requests):
        """Sends the requests one after another in the stream of each call, and the answers as its result."""
        async def serve(reader, writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            told.append(body)
            if body.get("method") == "tools/call":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
                answers = []
                for index, (method, params) in enumerate(requests):
                    request = {"jsonrpc": "2.0", "id": f"q{index}", "method": method, "params": params}
                    writer.write(f"data: {json.dumps(request)}\n\n".encode())
                    await writer.drain()
                    future = self.waiting[f"q{index}"] = asyncio.get_running_loop().create_future()
                    answers.append(await future)
                writer.write(f"data: {json.dumps({'jsonrpc': '2.0', 'id': body['id'], 'result': {'said': answers}})}\n\n".encode())
            else:
                if "method" not in body:
                    self.waiting.pop(body["id"]).set_result(body.get("result", body.get("error")))
                status, more, text = (
                    legacy(None)(headers, body) if body.get("method") in ("server/discover", "initialize") else (202, {}, b""))
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *(f"{a}: {b}" for a, b in more.items())]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + text)
            await writer.drain()
            writer.close()
        return serve

    async def converse(self, told, requests, capabilities, answers=None):
        self.waiting = {}
        server = await asyncio.start_server(self.asking(told, *requests), "127.0.0.1", 0)
        _upstream.PROXY = server.sockets[0].getsockname()
        try:
            upstream = _upstream.Upstream("https://tools.example.com/mcp")
            client = _upstream.Client(capabilities, answers or {})
            return json.loads(await upstream.call("tools/call", {"name": "a", "arguments": {}}, Context(), client))
        finally:
            server.close()
            for future in self.waiting.values():
                future.cancel()

    async def test_a_question_ends_the_call_and_the_next_one_answers_it(self):
        told, requests = [], [("elicitation/create", self.FORM), ("elicitation/create", self.FORM)]
        first = await self.converse(told, requests, {"elicitation": {}})
        self.assertEqual((first["again"], first["result"]["resultType"]), (True, "input_required"))
        (name, request), = first["result"]["inputRequests"].items()
        self.assertEqual(request, {"method": "elicitation/create", "params": self.FORM})
        self.assertEqual(told[-1]["method"], "notifications/cancelled")
        self.assertEqual(told[1]["params"]["capabilities"], {"elicitation": {}, "sampling": {}})
        # The same question a second time is another one.
        answers = {name: {"action": "accept", "content": {"name": "Ada"}}}
        second = await self.converse(told, requests, {"elicitation": {}}, answers)
        (other, _), = second["result"]["inputRequests"].items()
        self.assertNotEqual(other, name)
        answers[other] = {"action": "decline"}
        last = await self.converse(told, requests, {"elicitation": {}}, answers)
        self.assertEqual(last["result"]["said"], [answers[name], answers[other]])

    async def test_an_answer_is_none_to_a_question_that_says_something_else(self):
        told = []
        first = await self.converse(told, [("elicitation/create", self.FORM)], {"elicitation": {}})
        (name, _), = first["result"]["inputRequests"].items()
        answers = {name: {"action": "accept", "content": {}}}
        other = {**self.FORM, "message": "Delete everything?"}
        second = await self.converse(told, [("elicitation/create", other)], {"elicitation": {}}, answers)
        self.assertEqual(second["result"]["resultType"], "input_required")

    async def test_a_client_that_cannot_be_asked_is_refused_for(self):
        url = {"mode": "url", "message": "Go", "url": "https://example.com/", "elicitationId": "1"}
        for capabilities, method, params in [
                ({}, "elicitation/create", self.FORM), ({"elicitation": {}}, "sampling/createMessage", {"messages": []}),
                ({"elicitation": {}}, "elicitation/create", url), ({"sampling": {}}, "sampling/createMessage", {"tools": []}),
                ({"elicitation": {}, "roots": {}}, "roots/list", {})]:
            message = await self.converse([], [(method, params)], capabilities)
            self.assertEqual(message["result"]["said"][0]["code"], -32601, (capabilities, method))
        message = await self.converse([], [("elicitation/create", url)], {"elicitation": {"url": {}}})
        self.assertTrue(message["again"])

    async def test_an_answer_that_was_none_is_an_error_for_the_server(self):
        told, requests = [], [("sampling/createMessage", {"messages": []})]
        first = await self.converse(told, requests, {"sampling": {}})
        (name, _), = first["result"]["inputRequests"].items()
        last = await self.converse(told, requests, {"sampling": {}}, {name: {"action": "cancel", "error": True}})
        self.assertEqual(last["result"]["said"][0]["code"], -32603)

    async def test_an_error_of_the_protocol_is_the_answer(self):
        _, _, message = await self.ask(modern(lambda headers, body: refused(body, -32602)))
        self.assertEqual(message["error"]["code"], -32602)

    async def test_what_is_no_answer_is_told_apart_by_whether_it_may_pass(self):
        for answer, kind, words in (
            ((503, {}, b"busy"), _upstream.Unreachable, "503: busy"),
            ((401, {"Content-Type": "application/json"}, b'{"error":{}}'), Reject, "401"),
            ((302, {"Location": "http://169.254.169.254/"}, b""), Reject, "not followed"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", _upstream.Unreachable, "broke"),
            (b"SSH-2.0\r\n", _upstream.Unreachable, "without an answer"),
            (b"", _upstream.Unreachable, "without an answer"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n", _upstream.Unreachable, "without an answer"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", _upstream.Unreachable, "too many headers"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, _upstream.Unreachable, "too long"),
            ((200, {"Content-Type": "application/json"}, b'"' + b"x" * (5 << 20) + b'"'), Reject, "more than"),
        ):
            with self.assertRaises(kind) as caught:
                await self.ask(modern(lambda headers, body: answer))
            self.assertIn(words, str(caught.exception))

    async def test_a_call_that_is_given_up_closes_its_connection(self):
        async with Proxy(modern(lambda headers, body: None)) as proxy:
            task = asyncio.ensure_future(_upstream.Upstream("https://h/mcp").call("tools/call", {"name": "a"}, Context()))
            while len(proxy.requests) < 2:
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(proxy.closed.wait(), 30)

    async def test_a_server_of_before_is_told_of_a_call_that_is_given_up(self):
        async with Proxy(legacy(lambda headers, body: None)) as proxy:
            task = asyncio.ensure_future(_upstream.Upstream("https://h/mcp").call("tools/call", {"name": "a"}, Context()))
            while not any(body["method"] == "tools/call" for _, _, body in proxy.requests):
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            notice = proxy.requests[-1][2]
            call = next(body for _, _, body in proxy.requests if body["method"] == "tools/call")
            self.assertEqual((notice["method"], notice["params"]), ("notifications/cancelled", {"requestId": call["id"]}))


if __name__ == "__main__":
    unittest.main()
