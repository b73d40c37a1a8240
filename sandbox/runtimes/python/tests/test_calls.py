"""Calls of tools by a handler that runs, against a server that answers as told."""
import json
import struct
import unittest

from fake_server import FAILED, MORE, TABLE, FakeServer, block, encode, invoke_head

HANDLE = "import apus\ndef handle(event, context):\n"


def error(code, message):
    code, message = code.encode(), message.encode()
    return struct.pack("<BBHIII", 1, 0, len(code), len(message), 0, 0xFFFFFFFF) + code + message


class Calls(unittest.TestCase):
    def call(self, server, stream, number):
        """What the worker calls next."""
        payload = server.expect("CALL", stream).payload
        self.assertEqual(struct.unpack_from("<I", payload)[0], number)
        return json.loads(payload[4:])

    def answer(self, server, stream, number, result, flags=0):
        raw = result if isinstance(result, bytes) else json.dumps(result).encode()
        server.send("CALL_RESULT", struct.pack("<I", number) + raw, stream, flags)

    def test_what_a_tool_gives_is_what_the_call_returns(self):
        source = HANDLE + "    return [context.call('add', {'a': 1}, b=2), context.call('say'), context.call('draw')]\n"
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(self.call(server, 1, 1), {"name": "add", "arguments": {"a": 1, "b": 2}})
            self.answer(server, 1, 1, {"content": [{"type": "text", "text": "3"}], "structuredContent": {"sum": 3}})
            self.assertEqual(self.call(server, 1, 2), {"name": "say", "arguments": {}})
            self.answer(server, 1, 2, {"content": [{"type": "text", "text": "hi"}], "isError": False})
            self.call(server, 1, 3)
            image = {"type": "image", "data": "", "mimeType": "image/png"}
            self.answer(server, 1, 3, {"content": [image]})
            self.assertEqual(server.result(1).value, [{"sum": 3}, "hi", [image]])
            self.assertEqual(server.drain(), 0)

    def test_what_goes_wrong_can_be_caught(self):
        source = HANDLE + (
            "    seen = []\n"
            "    for name in ('a', 'b'):\n"
            "        try: context.call(name)\n"
            "        except apus.CallFailed as failure: seen.append([failure.tool, failure.code, failure.message])\n"
            "    return seen\n")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            self.call(server, 1, 1)
            self.answer(server, 1, 1, error("invalid_argument", "Unknown tool: a"), FAILED)
            self.call(server, 1, 2)
            self.answer(server, 1, 2, {"content": [{"type": "text", "text": "no"}], "isError": True})
            self.assertEqual(
                server.result(1).value, [["a", "invalid_argument", "Unknown tool: a"], ["b", "tool_failed", "no"]])

    def test_a_large_result_comes_in_parts(self):
        source = HANDLE + "    return len(context.call('much'))\n"
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            self.call(server, 1, 1)
            raw = json.dumps({"content": [{"type": "text", "text": "x" * 1_000_000}]}).encode()
            for at in range(0, len(raw), 250_000):
                self.answer(server, 1, 1, raw[at:at + 250_000], MORE if at + 250_000 < len(raw) else 0)
            self.assertEqual(server.result(1).value, 1_000_000)

    def test_what_else_comes_meanwhile_waits_its_turn(self):
        source = (
            "import apus\nrows = 0\n"
            "def handle(event, context):\n"
            "    global rows\n"
            "    if event.table:\n"
            "        rows += 1\n"
            "        return None\n"
            "    return [rows, context.call('much'), rows] if event.data == b'call' else rows\n")
        with FakeServer(source, triggers=[{"name": "in", "topic": "documents", "table": True}]) as server:
            server.ready()
            server.invoke(1, b"call")
            self.call(server, 1, 1)
            # More than the worker's buffer holds.
            for row in range(5):
                event = invoke_head(trigger=0) + block(b"r" * 200_000)
                server.write(encode("INVOKE", event, 100 + row, TABLE))
            self.answer(server, 1, 1, {"content": [{"type": "text", "text": "x"}]})
            self.assertEqual(server.result(1).value, [0, "x", 0])
            for row in range(5):
                server.expect("RESULT", 100 + row)
            server.invoke(2, b"count")
            self.assertEqual(server.result(2).value, 5)

    def test_a_cancelled_handler_waits_no_longer(self):
        source = HANDLE + (
            "    try: context.call('slow')\n"
            "    except apus.CallFailed as failure: return [failure.code, context.cancelled]\n")
        with FakeServer(source) as server:
            server.ready()
            for stream in (1, 2):
                server.invoke(stream, b"")
                self.call(server, stream, 1)
                server.send("CANCEL", stream=stream)
                self.assertEqual(server.result(stream).value, ["cancelled", True])
                # Its result may be on the way already: the next handler does not take it for its own.
                self.answer(server, stream, 1, {"content": []})
            self.assertEqual(server.drain(), 0)

    def test_coroutines_call_side_by_side(self):
        source = (
            "import asyncio\n"
            "async def handle(event, context):\n"
            "    return await asyncio.gather(context.call('a'), context.call('b'))\n")
        with FakeServer(source, concurrency=2) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(self.call(server, 1, 1)["name"], "a")
            self.assertEqual(self.call(server, 1, 2)["name"], "b")
            self.answer(server, 1, 2, {"content": [{"type": "text", "text": "B"}]})
            self.answer(server, 1, 1, {"content": [{"type": "text", "text": "A"}]})
            self.assertEqual(server.result(1).value, ["A", "B"])

    def test_a_coroutine_that_never_heard_of_asyncio_can_call(self):
        source = "async def handle(event, context):\n    return await context.call('a')\n"
        with FakeServer(source) as server:
            server.ready()
            for stream in (1, 2):
                server.invoke(stream, b"")
                self.call(server, stream, 1)
                self.answer(server, stream, 1, {"content": [{"type": "text", "text": "A"}]})
                self.assertEqual(server.result(stream).value, "A")

    def test_threads_call_side_by_side(self):
        source = HANDLE + "    return context.call('a', stream=event.data.decode())\n"
        with FakeServer(source, concurrency=2) as server:
            server.ready()
            server.invoke(1, b"1")
            server.invoke(2, b"2")
            streams = {frame.stream for frame in (server.receive(), server.receive()) if frame.kind == "CALL"}
            self.assertEqual(streams, {1, 2})
            for stream in (2, 1):
                self.answer(server, stream, 1, {"content": [{"type": "text", "text": str(stream)}]})
                self.assertEqual(server.result(stream).value, str(stream))

    def test_threads_that_a_handler_began_call_side_by_side(self):
        source = HANDLE + (
            "    from concurrent.futures import ThreadPoolExecutor\n"
            "    with ThreadPoolExecutor(4) as pool:\n"
            "        return list(pool.map(lambda n: context.call('a', n=n), range(4)))\n")
        with FakeServer(source) as server:
            server.ready()
            for stream in (1, 2):
                server.invoke(stream, b"")
                frames = [server.expect("CALL", stream).payload for _ in range(4)]
                for payload in reversed(frames):
                    number = struct.unpack_from("<I", payload)[0]
                    text = str(json.loads(payload[4:])["arguments"]["n"])
                    self.answer(server, stream, number, {"content": [{"type": "text", "text": text}]})
                self.assertEqual(server.result(stream).value, ["0", "1", "2", "3"])

    def test_a_thread_that_a_handler_left_behind_takes_nothing_from_the_next(self):
        source = HANDLE + (
            "    import threading, time\n"
            "    if event.data == b'leave':\n"
            "        def call():\n"
            "            try: context.call('never')\n"
            "            except Exception: pass\n"
            "        threading.Thread(target=call, daemon=True).start()\n"
            "        while not context._session.calls: time.sleep(0.001)\n"
            "        return 'left'\n"
            "    return event.data.decode()\n")
        with FakeServer(source) as server:
            server.ready()
            for stream in range(1, 40, 2):
                server.invoke(stream, b"leave")
                server.expect("CALL", stream)
                self.assertEqual(server.result(stream).value, "left")
                server.write(encode("INVOKE", invoke_head() + block(b"x"), stream + 1))
                self.assertEqual(server.result(stream + 1).value, "x")
            self.assertEqual(server.drain(), 0)

    def test_bounds_are_told_before_anything_is_sent(self):
        source = HANDLE + (
            "    for arguments in ({'a': 'x' * 300_000}, [1]):\n"
            "        try: context.call('a', arguments)\n"
            "        except (TypeError, ValueError) as error: last = str(error)\n"
            "        else: return 'sent'\n"
            "    return last\n")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertIn("arguments are a dict", server.result(1).value)

    def test_a_batch_calls_for_one_of_its_events(self):
        source = HANDLE + "    return [context.items[1].call('a'), 'second']\n"
        with FakeServer(source, batch={"maxSize": 4}) as server:
            server.ready()
            server.batch([(1, block(b"x")), (2, block(b"y"))])
            self.call(server, 2, 1)
            self.answer(server, 2, 1, {"content": [{"type": "text", "text": "A"}]})
            self.assertEqual(server.whole("ITEM_RESULT", 1).value, "A")
            self.assertEqual(server.whole("ITEM_RESULT", 2).value, "second")


if __name__ == "__main__":
    unittest.main()
