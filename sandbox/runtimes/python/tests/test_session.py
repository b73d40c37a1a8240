"""Starting, ending, waiting, large data, and a server that does not keep to the protocol."""
import os
import random
import struct
import unittest

from fake_server import ANSWER, DESCRIPTOR, MORE, FakeServer, WorkerGone, block, encode, invoke_head

ECHO = "def handle(event, context):\n    return event.data\n"


class Start(unittest.TestCase):
    def refusal(self, source, handler="main:handle"):
        with FakeServer(source, handler) as server:
            failure = server.error(0)
            self.assertEqual((failure.kind, failure.code), ("permanent", "start_failed"))
            self.assertEqual(server.wait(), 1)
            return failure

    def test_hello_comes_before_anything_is_asked(self):
        with FakeServer(ECHO, initialize=False) as server:
            hello = server.expect("HELLO", 0).payload
            low, high, features, length = struct.unpack_from("<HHIH", hello)
            self.assertEqual((low, high, features, length), (1, 1, 15, len(hello) - 10))
            self.assertRegex(hello[10:].decode(), r"^python 3\.\d+\.\d+$")

    def test_ready_brings_as_much_credit_as_the_concurrency(self):
        for concurrency in (1, 7):
            with FakeServer(ECHO, concurrency=concurrency) as server:
                self.assertEqual(server.ready().credit, concurrency)
                self.assertEqual(server.drain(), 0)

    def test_what_cannot_be_loaded_says_what_to_change(self):
        for source, handler, part in (
            (ECHO, "main", "is not of the form module:function"),
            (ECHO, "main:", "is not of the form module:function"),
            (ECHO, "other:handle", "no module 'other' in the function's source, which has: main.py"),
            (ECHO, "main:handel", "did you mean 'main:handle'"),
            ("x = 1\n", "main:handle", "and no other function"),
            ("handle = 1\n", "main:handle", "is a int, not a function"),
            ("def handle(event): pass\n", "main:handle", "takes 1 parameters; it is called with two"),
            ("def handle(a, b, c): pass\n", "main:handle", "takes 3 parameters"),
            ("import nowhere_to_be_found\n", "main:handle", "imports 'nowhere_to_be_found', which is neither"),
            ("def handle(event, context)\n    pass\n", "main:handle", "main.py:1: SyntaxError"),
            ("1 / 0\n", "main:handle", "importing main failed: ZeroDivisionError"),
            ("import sys; sys.exit(4)\n", "main:handle", "importing main failed: SystemExit: 4"),
            ("def start(): raise ValueError('no')\n" + ECHO, "main:handle", "start() failed: ValueError: no"),
        ):
            with self.subTest(part=part):
                self.assertIn(part, self.refusal(source, handler).message)

    def test_the_trace_of_a_failed_import_shows_the_functions_lines(self):
        failure = self.refusal({"main.py": "import helper\n", "helper.py": "def f():\n    return missing\nf()\n"})
        self.assertIn("return missing", failure.detail)
        self.assertNotIn("apus/", failure.detail.replace("/apus/_", "apus/"))

    def test_handlers_of_other_shapes_are_called(self):
        for source, handler in (
            ("class Box:\n    def put(self, event, context): return 1\nbox = Box()\n", "main:box.put"),
            ("class Call:\n    def __call__(self, event, context): return 1\nhandle = Call()\n", "main:handle"),
            ("class Call:\n    async def __call__(self, event, context): return 1\nhandle = Call()\n", "main:handle"),
            ("import functools\ndef f(x, event, context): return x\nhandle = functools.partial(f, 1)\n", "main:handle"),
            ("async def f(event, context): return 1\nhandle = lambda event, context: f(event, context)\n", "main:handle"),
            ({"main.py": "from inner import handle\n", "inner.py": "def handle(*a): return 1\n"}, "main:handle"),
        ):
            with self.subTest(source=source), FakeServer(source, handler) as server:
                server.ready()
                for stream in (1, 2):
                    server.invoke(stream, b"")
                    self.assertEqual(server.result(stream).value, 1)

    def test_the_function_finds_its_own_files_its_layer_and_apus(self):
        with FakeServer({"wanted.py": "where = 'layer'\n", "both.py": "where = 'layer'\n"}, initialize=False) as layer:
            source = {"main.py": "import wanted, both, apus, sys\ndef handle(event, context):\n"
                                 "    return [wanted.where, both.where, apus.Event.__name__]\n",
                      "both.py": "where = 'function'\n", "apus.py": "raise ImportError('shadows')\n"}
            with FakeServer(source, layer=layer.path) as server:
                server.ready()
                server.invoke(1, b"")
                self.assertEqual(server.result(1).value, ["layer", "function", "Event"])

    def test_what_is_printed_goes_out_line_by_line(self):
        with FakeServer("import os\ndef handle(event, context):\n    print('one\\udc80')\n    os._exit(9)\n") as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(server.wait(), 9)
            self.assertEqual(server.printed(), "one\\udc80\n")

    def test_the_channel_is_not_passed_on_to_programs(self):
        source = "import os\ndef handle(event, context):\n    return [os.get_inheritable(n) for n in (3, 4, 5)]\n"
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(server.result(1).value, [False] * 3)


class End(unittest.TestCase):
    HOOKS = "log = []\n" + "".join(f"def {n}(): print('{n}')\n" for n in ("start", "sleep", "wake", "stop")) + ECHO

    def test_hooks_run_in_their_moment(self):
        with FakeServer(self.HOOKS) as server:
            server.ready()
            self.assertEqual(server.printed(False), "start\n")
            server.write(encode("SLEEP") + encode("WAKE") + encode("INVOKE", invoke_head() + block(b"x"), 4))
            self.assertEqual(server.expect("SLEEP").flags, ANSWER)
            self.assertEqual(server.expect("WAKE").flags, ANSWER)
            self.assertEqual(server.result(4).data, b"x")
            self.assertEqual(server.drain(), 0)
            self.assertEqual(server.printed(), "sleep\nwake\nstop\n")

    def test_ready_says_whether_the_module_can_sleep_and_wake(self):
        for source, abilities in ((self.HOOKS, b"\1\0\0\0"), (ECHO, b""), ("def sleep(): pass\n" + ECHO, b""),
                                  ("sleep = wake = None\n" + ECHO, b"")):
            with FakeServer(source) as server:
                server.ready()
                self.assertEqual(server.abilities, abilities)
                self.assertEqual(server.drain(), 0)

    def test_hooks_may_be_coroutines(self):
        source = "import asyncio\n" + "".join(
            f"async def {n}():\n    await asyncio.sleep(0)\n    print('{n}')\n" for n in ("start", "sleep", "wake", "stop"))
        for handler in (ECHO, "async " + ECHO):
            with FakeServer(source + handler) as server:
                server.ready()
                server.send("SLEEP")
                server.expect("SLEEP")
                server.send("WAKE")
                server.expect("WAKE")
                server.invoke(1, b"x")
                self.assertEqual(server.result(1).data, b"x")
                self.assertEqual(server.drain(), 0)
                self.assertEqual(server.printed(), "start\nsleep\nwake\nstop\n")

    def test_a_failing_stop_does_not_hold_up_the_end(self):
        with FakeServer("def stop(): raise ValueError('late')\n" + ECHO) as server:
            server.ready()
            self.assertEqual(server.drain(), 0)
            self.assertIn("ValueError: late", server.printed())

    def test_a_failing_wake_ends_the_worker(self):
        with FakeServer("def wake(): raise ValueError('ill')\n" + ECHO) as server:
            server.ready()
            server.send("WAKE")
            self.assertIn("wake() failed: ValueError: ill", server.error(0).message)
            self.assertEqual(server.wait(), 1)

    def test_work_before_drain_is_finished_in_every_mode(self):
        waits = "import asyncio\nasync def handle(event, context):\n    await asyncio.sleep(0.05)\n    return event.data\n"
        sleeps = "import time\ndef handle(event, context):\n    time.sleep(0.05)\n    return event.data\n"
        for source, concurrency in ((ECHO, 1), (waits, 4), (sleeps, 4), ("async " + ECHO, 4)):
            with FakeServer(source, concurrency=concurrency) as server:
                server.ready()
                server.write(b"".join(encode("INVOKE", invoke_head() + block(b"x"), n + 1) for n in range(concurrency)) + encode("DRAIN"))
                self.assertEqual(sorted(server.result().stream for _ in range(concurrency)), list(range(1, concurrency + 1)))
                server.expect("BYE")
                self.assertEqual(server.wait(), 0)

    def test_a_cancel_reaches_work_that_a_drain_waits_for(self):
        waits = "import asyncio\nasync def handle(event, context):\n    await asyncio.sleep(60)\n"
        sleeps = "import time\ndef handle(event, context):\n    while not context.cancelled: time.sleep(0.001)\n    raise ValueError\n"
        for source in (waits, sleeps):
            with FakeServer(source, concurrency=2) as server:
                server.ready()
                server.invoke(1, b"")
                server.send("DRAIN")
                server.send("CANCEL", stream=1)
                server.error(1)
                server.expect("BYE")
                self.assertEqual(server.wait(), 0)

    def test_ping_is_answered(self):
        with FakeServer(ECHO) as server:
            server.ready()
            server.send("PING", b"now")
            frame = server.expect("PING")
            self.assertEqual((frame.flags, frame.payload), (ANSWER, b"now"))

    def test_a_server_that_is_gone_ends_the_worker(self):
        for source, concurrency in ((ECHO, 1), ("import asyncio\nasync " + ECHO, 4), (ECHO, 4)):
            with FakeServer(source, concurrency=concurrency) as server:
                server.ready()
                os.close(server.to_worker)
                server.to_worker = os.open("/dev/null", os.O_WRONLY)
                self.assertEqual(server.wait(), 0)


class Together(unittest.TestCase):
    def test_suspended_coroutines_run_together_and_share_nothing(self):
        source = ("import asyncio, contextvars\nname = contextvars.ContextVar('name')\ncount = 0\nopen_gate = None\n"
                  "async def handle(event, context):\n    global count, open_gate\n    assert name.get(None) is None\n"
                  "    name.set(event.data)\n    open_gate = open_gate or asyncio.Event()\n    count += 1\n"
                  "    if count == 8: open_gate.set()\n    await open_gate.wait()\n"
                  "    async with asyncio.timeout(20): await asyncio.sleep(0)\n"
                  "    assert asyncio.current_task() is not None\n    return name.get()\n")
        for late in (False, True):
            text = source if not late else source.replace("import asyncio, contextvars", "import contextvars").replace(
                "    global count", "    import asyncio\n    global count")
            with FakeServer(text, concurrency=8) as server:
                server.ready()
                for n in range(8):
                    server.invoke(n + 1, b"d%d" % n)
                answers = [server.result() for _ in range(8)]
                self.assertEqual({answer.stream: answer.data for answer in answers}, {n + 1: b"d%d" % n for n in range(8)})
                self.assertEqual(server.drain(), 0)

    def test_tasks_that_a_handler_starts_go_on(self):
        source = ("import asyncio\nasync def later(context):\n    await asyncio.sleep(0)\n    context.log.info('later')\n"
                  "async def handle(event, context):\n    handle.task = asyncio.create_task(later(context))\n    return 1\n")
        with FakeServer(source, concurrency=2) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(server.result(1).value, 1)
            self.assertEqual(server.expect("LOG", 0).payload, b"\x01later")

    def test_a_cancelled_coroutine_is_told_and_may_answer(self):
        source = ("import asyncio\nasync def handle(event, context):\n    context.progress(0)\n    try: await asyncio.sleep(60)\n"
                  "    except asyncio.CancelledError:\n        if event.data == b'answer': return context.cancelled\n        raise\n")
        with FakeServer(source, concurrency=2) as server:
            server.ready()
            server.invoke(1, b"answer")
            server.expect("PROGRESS", 1)
            server.send("CANCEL", stream=1)
            self.assertEqual(server.result(1).value, True)
            server.invoke(2, b"")
            server.expect("PROGRESS", 2)
            server.send("CANCEL", stream=2)
            self.assertEqual(server.error(2).code, "cancelled")

    def test_a_handler_that_cancels_itself_is_answered(self):
        source = ("import asyncio\nasync def handle(event, context):\n    asyncio.current_task().cancel()\n"
                  "    if event.data == b'wait': await asyncio.sleep(0)\n    return 1\n")
        with FakeServer(source, concurrency=2) as server:
            server.ready()
            for stream in (1, 4):
                server.invoke(stream, b"wait")
                self.assertEqual(server.error(stream).code, "cancelled")
                server.invoke(stream + 1, b"")
                self.assertEqual(server.result(stream + 1).value, 1)

    def test_async_generators_stream_and_async_batches_answer_each(self):
        source = "import asyncio\nasync def handle(event, context):\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield n\n"
        for text in (source, source.replace("import asyncio\n", "").replace("        await asyncio.sleep(0)\n", "")):
            with FakeServer(text, concurrency=2) as server:
                server.ready()
                server.invoke(1, b"")
                self.assertEqual(server.result(1).data, b"0\n1\n2\n")
        with FakeServer(source.replace("range(3)", "event"), batch={"maxSize": 4}) as server:
            server.ready()
            server.batch([(1, block(b"a")), (2, block(b"b"))])
            self.assertEqual([server.whole("ITEM_RESULT", n).data for n in (1, 2)], [b"a", b"b"])
        source = "import asyncio\nasync def handle(events, context):\n    await asyncio.sleep(0)\n    return [1, ValueError('x')]\n"
        with FakeServer(source, batch={"maxSize": 4}) as server:
            server.ready()
            server.batch([(1, block(b"")), (2, block(b""))])
            self.assertEqual(server.whole("ITEM_RESULT", 1).value, 1)
            self.assertEqual(server.whole("ITEM_RESULT", 2).message, "ValueError: x")

    def test_awaiting_what_is_no_future_fails_the_attempt(self):
        source = "class Odd:\n    def __await__(self): yield 5\nasync def handle(event, context): await Odd()\n"
        for text in (source, "import asyncio\n" + source):
            with FakeServer(text, concurrency=2) as server:
                server.ready()
                for stream in (1, 2):
                    server.invoke(stream, b"")
                    self.assertEqual(server.error(stream).kind, "retryable")

    def test_threads_run_together_up_to_the_concurrency(self):
        source = ("import threading\nbarrier = threading.Barrier(6)\ndef handle(event, context):\n    barrier.wait(20)\n"
                  "    context.log.info('past')\n    return event.data * 30_000\n")
        with FakeServer(source, concurrency=6) as server:
            server.ready()
            for _ in range(3):
                for n in range(6):
                    server.invoke(n + 1, b"%d" % n)
                seen, logs, parts = {}, 0, {}
                while len(seen) < 6:
                    frame = server.receive()
                    if frame.kind == "LOG":
                        logs += 1
                    else:
                        data = frame.payload[67:] if frame.kind == "RESULT" else frame.payload
                        parts[frame.stream] = parts.get(frame.stream, b"") + data
                        if not frame.flags & MORE:
                            seen[frame.stream] = parts[frame.stream]
                self.assertEqual(seen, {n + 1: b"%d" % n * 30_000 for n in range(6)})
                self.assertEqual(logs, 6)
            self.assertEqual(server.drain(), 0)

    def test_a_slow_handler_does_not_hold_back_finished_replies(self):
        source = ("import time\nasync def handle(event, context):\n    if event.data == b'slow':\n        context_wait()\n    return 1\n"
                  "def context_wait():\n    import os\n    while not os.path.exists(path): time.sleep(0.001)\n")
        with FakeServer(source + "path = __file__ + '.go'\n", concurrency=3) as server:
            server.ready()
            frames = [encode("INVOKE", invoke_head() + block(d), n) for n, d in ((1, b"x"), (2, b"slow"), (3, b"x"))]
            # The reply before a slow handler leaves with the first look of the clock after it, at the latest with the turn.
            server.write(b"".join(frames))
            open(os.path.join(server.path, "main.py.go"), "w").close()
            self.assertEqual([server.result().stream for _ in range(3)], [1, 2, 3])


class Large(unittest.TestCase):
    def test_data_in_parts_is_put_together(self):
        with FakeServer(ECHO) as server:
            server.ready()
            data = random.Random(1).randbytes(1_000_000)
            for first in (0, 1, 1000):
                server.invoke_in_parts(3, data, first)
                self.assertEqual(server.result(3).data, data)

    def test_parts_of_several_events_may_alternate(self):
        with FakeServer(ECHO, concurrency=3) as server:
            server.ready()
            for stream in (1, 2, 3):
                server.send("INVOKE", invoke_head() + block(b"", size=6), stream, MORE)
            for flags in (MORE, 0):
                for stream in (1, 2, 3):
                    server.send("DATA", b"%d%d%d" % ((stream,) * 3), stream, flags)
            answers = {answer.stream: answer.data for answer in (server.result() for _ in range(3))}
            self.assertEqual(answers, {1: b"111111", 2: b"222222", 3: b"333333"})

    def test_data_in_sealed_memory_is_read_in_whatever_order_it_came(self):
        with FakeServer(ECHO, concurrency=2) as server:
            server.ready()
            first, second = random.Random(2).randbytes(900_000), b"small"
            server.memory(2, second)
            server.memory(1, first)
            for stream, data in ((1, first), (2, second)):
                server.send("INVOKE", invoke_head() + block(None, size=len(data)), stream, DESCRIPTOR)
            answers = {answer.stream: answer.data for answer in (server.result() for _ in range(2))}
            self.assertEqual(answers, {1: first, 2: second})

    def test_many_memories_leave_no_descriptor_open(self):
        with FakeServer("import os\ndef handle(event, context):\n    return [len(event.data), len(os.listdir('/proc/self/fd'))]\n") as server:
            server.ready()
            counts = set()
            for stream in range(1, 101):
                server.memory(stream, b"x" * stream)
                server.send("INVOKE", invoke_head() + block(None, size=stream), stream, DESCRIPTOR)
                size, count = server.result(stream).value
                self.assertEqual(size, stream)
                counts.add(count)
            self.assertEqual(len(counts), 1)

    def test_frames_of_the_largest_size_pass(self):
        with FakeServer(ECHO) as server:
            server.ready()
            data = b"z" * (256 * 1024 - 24 - 40 - 24)
            for stream in range(1, 6):
                server.invoke(stream, data)
                self.assertEqual(server.result(stream).data, data)

    def test_bytes_that_trickle_in_make_whole_frames(self):
        with FakeServer(ECHO) as server:
            server.ready()
            raw = b"".join(encode("INVOKE", invoke_head() + block(b"%d" % n), n) for n in range(1, 4))
            for at in range(len(raw)):
                server.write(raw[at:at + 1])
            self.assertEqual([server.result(n).data for n in range(1, 4)], [b"1", b"2", b"3"])


class Garbage(unittest.TestCase):
    def dies(self, *raw, memory=None):
        with FakeServer(ECHO) as server:
            server.ready()
            if memory is not None:
                server.memory(1, *memory)
            for part in raw:
                server.write(part)
            with self.assertRaises(WorkerGone) as gone:
                while True:
                    server.receive()
            self.assertEqual(server.wait(), 70)
            self.assertIn("the server broke the worker protocol", str(gone.exception))

    def test_what_the_protocol_does_not_allow_ends_the_worker_with_its_reason(self):
        good = invoke_head() + block(b"x")
        for name, raw in {
            "version": encode("INVOKE", good, 1, version=2),
            "length": struct.pack("<IBBHQq", 256 * 1024, 16, 0, 1, 1, 0),
            "type": encode(200),
            "direction": encode("HELLO"),
            "second INIT": encode("INIT", b"{}"),
            "flags": encode("INVOKE", good, 1, 64),
            "flags of another type": encode("INVOKE", good, 1, 2),
            "no event": encode("INVOKE", invoke_head(), 1),
            "empty": encode("INVOKE", b"", 1),
            "short data": encode("INVOKE", invoke_head() + block(b"x", size=9), 1),
            "long data": encode("INVOKE", good + b"y", 1),
            "huge key": encode("INVOKE", invoke_head() + struct.pack("<qIIII", 0, 0x7FFFFFFF, 0, 0, 0), 1),
            "DATA without a start": encode("DATA", b"x", 1),
            "DATA too long": encode("INVOKE", invoke_head() + block(b"", size=2), 1, MORE) + encode("DATA", b"xxx", 1),
            "DATA too short": encode("INVOKE", invoke_head() + block(b"", size=2), 1, MORE) + encode("DATA", b"x", 1),
            "a second start": encode("INVOKE", invoke_head() + block(b"", size=2), 1, MORE) * 2,
            "BATCH of none": encode("BATCH", struct.pack("<II", 0, 0)),
            "BATCH of too many": encode("BATCH", struct.pack("<II", 1 << 31, 0)),
            "BATCH cut": encode("BATCH", struct.pack("<II", 1, 0) + struct.pack("<QII", 1, 999, 0) + good),
            "BATCH with a rest": encode("BATCH", struct.pack("<II", 1, 0) + struct.pack("<QII", 1, len(good), 0) + good + b"x"),
        }.items():
            with self.subTest(name):
                self.dies(raw)

    def test_memory_that_is_not_sealed_or_of_another_size_is_refused(self):
        frame = encode("INVOKE", invoke_head() + block(None, size=4), 1, DESCRIPTOR)
        self.dies(frame, memory=(b"data", False))
        self.dies(frame, memory=(b"longer",))

    def test_init_that_is_no_json_ends_the_worker(self):
        for raw in (b"{", b"[]", b"\xff"):
            with FakeServer(ECHO, initialize=False) as server:
                server.expect("HELLO")
                server.send("INIT", raw)
                self.assertEqual(server.wait(), 70)

    def test_random_bytes_never_hang_it(self):
        dice = random.Random(3)
        for _ in range(20):
            with FakeServer(ECHO, initialize=False) as server:
                server.expect("HELLO")
                try:
                    server.write(dice.randbytes(dice.randint(24, 2000)))
                except BrokenPipeError:
                    pass
                os.close(server.to_worker)
                server.to_worker = os.open("/dev/null", os.O_WRONLY)
                self.assertIn(server.wait(), (1, 70))


if __name__ == "__main__":
    unittest.main()
