"""What a handler is given and what becomes of what it returns, raises, yields or does meanwhile."""
import json
import struct
import unittest

from fake_server import ANSWER, DIRECT, MORE, STREAM, TABLE, FakeServer, block, encode, invoke_head, parse_block


def lines(*text):
    return "\n".join(text) + "\n"


HANDLE = "def handle(event, context):\n"


class Values(unittest.TestCase):
    def returns(self, expression, **more):
        with FakeServer(f"import apus\n{HANDLE}    return {expression}\n") as server:
            server.ready()
            server.invoke_json(7, {"n": [1, 2.5, None, True, "é"]}, **more)
            return server.result(7)

    def test_json_data_is_parsed_and_json_results_are_written(self):
        answer = self.returns("event.data")
        self.assertEqual(answer.value, {"n": [1, 2.5, None, True, "é"]})
        self.assertEqual(answer.attributes, {"datacontenttype": "application/json"})

    def test_a_str_is_a_json_string(self):
        self.assertEqual(self.returns("'a\"é\\n'").value, 'a"é\n')

    def test_numbers_booleans_lists_and_tuples_are_json(self):
        self.assertEqual(self.returns("[1, 2.5, True, (1, 2), {'k': None}]").value, [1, 2.5, True, [1, 2], {"k": None}])

    def test_bytes_are_octets(self):
        answer = self.returns("b'\\x00\\xff'")
        self.assertEqual((answer.data, answer.attributes), (b"\0\xff", {"datacontenttype": "application/octet-stream"}))
        self.assertEqual(self.returns("bytearray(b'x')").data, b"x")
        self.assertEqual(self.returns("b''").data, b"")

    def test_none_is_null_data(self):
        answer = self.returns("None")
        self.assertIsNone(answer.data)
        self.assertEqual(answer.attributes, {})

    def test_an_event_gives_its_own_attributes_and_key(self):
        answer = self.returns("apus.Event({'a': 1}, key='k', type='t', source='/s', subject='u', id='i', "
                              "time='2025-01-01T00:00:00Z', attributes={'number': 3, 'flag': True, 'raw': b'x'})")
        self.assertEqual(answer.key, b"k")
        self.assertEqual(answer.value, {"a": 1})
        self.assertEqual(answer.attributes, {
            "type": "t", "source": "/s", "subject": "u", "id": "i", "time": "2025-01-01T00:00:00Z", "number": "3",
            "flag": "true", "raw": b"x", "datacontenttype": "application/json"})

    def test_an_event_with_a_type_of_its_own_takes_text(self):
        answer = self.returns("apus.Event('hé', datacontenttype='text/plain')")
        self.assertEqual((answer.data, answer.attributes), ("hé".encode(), {"datacontenttype": "text/plain"}))

    def test_a_received_event_passes_through_without_the_platforms_headers(self):
        answer = self.returns("event", key=b"k", pairs={"id": "1", "h": (128, b"v"), "apus-hops": (128, b"2")})
        self.assertEqual(answer.key, b"k")
        self.assertEqual(answer.attributes, {"datacontenttype": "application/json", "id": "1", "h": b"v"})
        self.assertEqual(json.loads(answer.data)["n"][1], 2.5)

    def test_what_cannot_be_json_fails_with_what_to_return(self):
        for expression, part in (("object()", "cannot be written as JSON"), ("float('nan')", "JSON"),
                                 ("{(1,): 2}", "keys"), ("apus.Event(object(), datacontenttype='text/plain')", "bytes or str")):
            with FakeServer(f"import apus\n{HANDLE}    return {expression}\n") as server:
                server.ready()
                server.invoke(1, b"")
                failure = server.error(1)
                self.assertEqual((failure.kind, failure.code), ("retryable", "function_failed"))
                self.assertIn(part, failure.message)
                server.invoke(2, b"")
                server.error(2)

    def test_a_result_of_many_frames_arrives_whole(self):
        for size in (64_000, 65_536, 262_144 - 24, 262_144, 3_000_001, 64 << 20):
            with FakeServer(f"{HANDLE}    return bytes({size - 1}) + b'!'\n") as server:
                server.ready()
                server.invoke(1, b"")
                answer = server.result(1)
                self.assertEqual(len(answer.data), size)
                self.assertEqual(answer.data[-1:], b"!")
                self.assertEqual(server.drain(), 0)

    def test_a_result_over_the_bound_is_refused(self):
        with FakeServer(f"{HANDLE}    return bytes((64 << 20) + 1)\n") as server:
            server.ready()
            server.invoke(1, b"")
            failure = server.error(1)
            self.assertEqual((failure.kind, failure.code), ("permanent", "result_too_large"))


class Events(unittest.TestCase):
    def look(self, expression, data=b"raw", key=None, pairs=(), **head):
        with FakeServer(f"{HANDLE}    return {expression}\n") as server:
            server.ready()
            server.invoke(1, data, key, pairs, **head)
            return server.result(1).value

    def test_attributes_are_read_by_name_and_type(self):
        pairs = [("id", "1"), ("source", "/s"), ("type", "t"), ("subject", "u"), ("time", (6, "2025-01-01T00:00:00Z")),
                 ("flag", (1, "true")), ("number", (2, "-5")), ("raw", (3, b"\xff")), ("header", (128, b"h"))]
        look = "[event.id, event.source, event.type, event.subject, event.time, event['flag'], event.get('number'), " \
               "list(event['raw']), 'header' in event, [[n, list(v)] for n, v in event.headers], event.get('none', 9)]"
        self.assertEqual(self.look(look, pairs=pairs), [
            "1", "/s", "t", "u", "2025-01-01T00:00:00Z", True, -5, [255], False, [["header", [104]]], 9])

    def test_data_is_json_only_when_the_content_type_says_so(self):
        kind = "type(event.data).__name__"
        self.assertEqual(self.look(kind, b"{}"), "bytes")
        self.assertEqual(self.look(kind, b"{}", pairs={"datacontenttype": "application/json; charset=utf-8"}), "dict")
        self.assertEqual(self.look(kind, b"{}", pairs={"datacontenttype": "application/cloudevents+json"}), "dict")
        self.assertEqual(self.look(kind, b"{}", pairs={"datacontenttype": "text/plain"}), "bytes")
        # The name inside of a value, and as the name of a header, is no content type.
        self.assertEqual(self.look(kind, b"{}", pairs={"subject": "\x0f\0\x10\0datacontenttypeapplication/json"}), "bytes")
        self.assertEqual(self.look(kind, b"{}", pairs={"datacontenttype": (128, b"application/json")}), "bytes")

    def test_null_data_is_none_and_empty_data_is_not(self):
        self.assertEqual(self.look("event.data is None", None), True)
        self.assertEqual(self.look("event.data is None", b""), False)

    def test_a_key_is_text_or_bytes_or_none(self):
        self.assertEqual(self.look("repr(event.key)", key="ké".encode()), "'ké'")
        self.assertEqual(self.look("repr(event.key)", key=b"\xff"), "b'\\xff'")
        self.assertEqual(self.look("repr(event.key)", key=b""), "''")
        self.assertEqual(self.look("repr(event.key)"), "None")

    def test_the_place_of_a_delivery_is_known_and_a_direct_invocation_has_none(self):
        look = "[event.topic, event.partition, event.offset, event.table]"
        self.assertEqual(self.look(look, trigger=0, partition=3, offset=99), ["documents", 3, 99, False])
        self.assertEqual(self.look(look), [None, None, None, False])

    def test_a_delivery_of_a_replay_says_so_whatever_else_its_head_says(self):
        self.assertEqual(self.look("event.replay", trigger=0, offset=1, marks=1), True)
        self.assertEqual(self.look("event.replay", trigger=0, offset=1, marks=2), False)
        self.assertEqual(self.look("event.replay"), False)

    def test_an_event_outlives_its_read(self):
        source = lines("kept = []", "def handle(event, context):", "    kept.append(event)",
                       "    return [e.data.decode() + e['id'] for e in kept]")
        with FakeServer(source) as server:
            server.ready()
            for n in range(1, 6):
                server.invoke(n, b"d%d" % n * 1000, pairs={"id": str(n)})
                self.assertEqual(server.result(n).value, [f"d{m}" * 1000 + str(m) for m in range(1, n + 1)])

    def test_malformed_json_is_poison_unless_it_is_caught(self):
        with FakeServer(lines("import apus", "def handle(event, context):", "    if event.id == 'raw': return event.raw",
                              "    return event.data")) as server:
            server.ready()
            for n, data in enumerate((b"{", b"", b"nope", b"[1,]", b"NaN", b"1 2", b"\xff", b"[" * 100_000), 1):
                server.invoke(n, data, pairs={"datacontenttype": "application/json"})
                failure = server.error(n)
                self.assertEqual((failure.kind, failure.code), ("poison", "invalid_json"), data[:10])
            server.invoke(99, b"{", pairs={"datacontenttype": "application/json", "id": "raw"})
            self.assertEqual(server.result(99).data, b"{")


class Contexts(unittest.TestCase):
    def test_it_says_which_attempt_this_is(self):
        source = f"{HANDLE}    return [context.invocation, context.attempt, str(context.deadline), context.remaining > 0, " \
                 "context.trace, context.cancelled, context.function]\n"
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"", attempt=3, deadline=4_102_444_800_000_001, pairs={"traceparent": "00-a-b-01"})
            self.assertEqual(server.result(1).value, [
                "0123456789abcdeffedcba9876543210", 3, "2100-01-01 00:00:00.000001+00:00", True, "00-a-b-01", False, "test"])
            server.invoke(2, b"")
            self.assertEqual(server.result(2).value[2:5], ["None", True, None])

    def test_log_progress_and_emit_become_frames_before_the_result(self):
        source = lines("def handle(event, context):", "    context.log.debug('d %s', 1)", "    context.log.info('i')",
                       "    context.log.warning('w')", "    context.log.error('100%')", "    context.progress(1, 4, 'half')",
                       "    context.progress(2)", "    context.emit('alerts', {'a': 1}, key='k', type='t')",
                       "    context.emit('alerts', b'raw')", "    return 1")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(5, b"")
            for level, text in enumerate((b"d 1", b"i", b"w", b"100%")):
                self.assertEqual(server.expect("LOG", 5).payload, bytes((level,)) + text)
            self.assertEqual(server.expect("PROGRESS", 5).payload, struct.pack("<QQ", 1, 4) + b"half")
            self.assertEqual(server.expect("PROGRESS", 5).payload, struct.pack("<QQ", 2, 0))
            first = server.expect("EMIT", 5).payload
            self.assertEqual(first[:8], b"\x06\0alerts")
            answer = parse_block(first[8:])
            self.assertEqual((answer.key, answer.value, answer.attributes["type"]), (b"k", {"a": 1}, "t"))
            self.assertEqual(parse_block(server.expect("EMIT", 5).payload[8:]).data, b"raw")
            self.assertEqual(server.result(5).value, 1)

    def test_what_a_handler_sends_takes_finished_replies_along_and_loses_none(self):
        source = lines("async def handle(event, context):", "    if event.data == b'log': context.log.info('x')", "    return event.data")
        with FakeServer(source, concurrency=8) as server:
            server.ready()
            server.write(b"".join(encode("INVOKE", invoke_head() + block(data), n) for n, data in enumerate(
                (b"a", b"log", b"b", b"log", b"c"), 1)))
            frames = [server.receive() for _ in range(7)]
            self.assertEqual([(frame.kind, frame.stream) for frame in frames], [
                ("RESULT", 1), ("LOG", 2), ("RESULT", 2), ("RESULT", 3), ("LOG", 4), ("RESULT", 4), ("RESULT", 5)])

    def test_a_large_emitted_event_comes_in_parts_and_one_over_the_bound_fails(self):
        with FakeServer(lines("def handle(event, context):", "    context.emit('t', bytes(int(event.data)))", "    return 1")) as server:
            server.ready()
            server.invoke(1, b"1000000")
            frame = server.expect("EMIT", 1)
            size, flags = 0, frame.flags
            while flags & MORE:
                part = server.expect("DATA", 1)
                size, flags = size + len(part.payload), part.flags
            self.assertEqual(size, 1_000_000)
            self.assertEqual(server.result(1).value, 1)
            server.invoke(2, b"1048577")
            self.assertIn("at most 1048576", server.error(2).message)

    def test_an_answered_invocation_can_log_but_no_longer_emit(self):
        source = lines("kept = []", "def handle(event, context):", "    if not kept:", "        kept.append(context)",
                       "        return event.data", "    kept[0].log.info('late')", "    kept[0].emit('t', 1)")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"x")
            server.result(1)
            server.invoke(2, b"x")
            self.assertEqual(server.expect("LOG", 0).payload, b"\x01late")
            self.assertIn("has been answered", server.error(2).message)

    def test_one_attempt_emits_a_bounded_number_of_events(self):
        source = lines("def handle(event, context):", "    for n in range(int(event.data)): context.emit('t', b'')", "    return 1")
        with FakeServer(source) as server:
            server.ready()
            for stream, count in ((1, 1024), (2, 1025)):
                server.invoke(stream, b"%d" % count)
                for _ in range(1024):
                    server.expect("EMIT", stream)
                if stream == 1:
                    self.assertEqual(server.result(1).value, 1)
            self.assertIn("at most 1024 events", server.error(2).message)

    def test_missing_secrets_say_what_is_wrong(self):
        with FakeServer(f"{HANDLE}    return context.secret('TOKEN')\n") as server:
            server.ready()
            server.invoke(2, b"")
            self.assertIn("the secret 'TOKEN' was not given", server.error(2).message)

    def test_questions_end_an_attempt_and_answers_precede_the_next(self):
        with FakeServer(lines("def handle(event, context):",
                              "    return context.ask({'name': {'type': 'string'}}, 'Who?')['name']")) as server:
            server.ready()
            server.invoke(1, b"")
            frame = server.expect("INPUT_REQUEST", 1)
            self.assertEqual(json.loads(frame.payload)["question1"]["params"]["message"], "Who?")
            answer = {"question1": {"action": "accept", "content": {"name": "Ada"}}}
            server.send("INPUT", json.dumps(answer).encode(), 2)
            server.invoke(2, b"")
            self.assertEqual(server.result(2).data, b'"Ada"')
            server.send("INPUT", json.dumps({"question1": {"action": "decline"}}).encode(), 3)
            server.invoke(3, b"")
            self.assertIn("decline", server.error(3).message)

    def test_secrets_come_from_sealed_memory(self):
        with FakeServer(f"{HANDLE}    return context.secret('TOKEN')\n", secrets=["TOKEN"]) as server:
            server.ready()
            server.memory(0, json.dumps({"TOKEN": "s3cret"}).encode())
            for stream in (1, 2):
                server.invoke(stream, b"")
                self.assertEqual(server.result(stream).value, "s3cret")

    def test_cancelled_becomes_true_while_the_handler_runs(self):
        source = lines("def handle(event, context):", "    context.progress(0)", "    while not context.cancelled:", "        pass",
                       "    return 'stopped'")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            server.expect("PROGRESS", 1)
            server.send("CANCEL", stream=99)
            server.send("CANCEL", stream=1)
            self.assertEqual(server.result(1).value, "stopped")
            server.invoke(2, b"")
            server.expect("PROGRESS", 2)
            server.send("CANCEL", stream=2)
            self.assertEqual(server.result(2).value, "stopped")
            self.assertEqual(server.drain(), 0)

    def test_a_cancel_in_the_same_read_is_seen(self):
        with FakeServer(f"{HANDLE}    return context.cancelled\n") as server:
            server.ready()
            frame = encode("INVOKE", invoke_head() + block(b""), 1)
            server.write(frame + encode("CANCEL", stream=1) + encode("PING", b"p"))
            self.assertEqual(server.result(1).value, True)
            self.assertEqual(server.expect("PING").payload, b"p")
            server.invoke(1, b"")
            self.assertEqual(server.result(1).value, False)

    def test_work_that_comes_while_a_handler_looks_for_cancel_is_done_afterwards(self):
        source = lines("def handle(event, context):", "    if event.data == b'first':", "        context.progress(0)",
                       "        while not context.cancelled: pass", "    return event.data.decode()")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"first")
            server.expect("PROGRESS", 1)
            table = b"".join(encode("INVOKE", invoke_head() + block(b"row %d" % n), 10 + n, TABLE) for n in range(50))
            server.write(table + encode("CANCEL", stream=1))
            self.assertEqual(server.result(1).value, "first")
            for n in range(50):
                self.assertEqual(server.result(10 + n).value, f"row {n}")


class Failures(unittest.TestCase):
    def failure(self, *body):
        with FakeServer(lines("import apus", "def handle(event, context):", *(f"    {line}" for line in body))) as server:
            server.ready()
            server.invoke(1, b"")
            failure = server.error(1)
            server.invoke(2, b"")
            server.error(2)
            return failure

    def test_an_exception_is_retryable_and_shows_the_functions_own_frames(self):
        failure = self.failure("return deeper()", "", "def x(): pass")
        self.assertEqual((failure.kind, failure.code), ("retryable", "function_failed"))
        self.assertEqual(failure.message, "NameError: name 'deeper' is not defined")
        self.assertIn("main.py", failure.detail)
        self.assertIn("return deeper()", failure.detail)
        self.assertNotIn("apus/_session", failure.detail)
        self.assertIsNone(failure.after)

    def test_retry_and_reject_steer_the_delivery(self):
        failure = self.failure("raise apus.Retry(after=1.5)")
        self.assertEqual((failure.kind, failure.after), ("retryable", 1500))
        self.assertEqual(self.failure("raise apus.Retry('later')").message, "later")
        failure = self.failure("raise apus.Reject('no such customer')")
        self.assertEqual((failure.kind, failure.code, failure.message), ("permanent", "function_rejected", "no such customer"))
        self.assertIn("expected seconds", self.failure("raise apus.Retry(after=-1)").message)

    def test_exits_and_endless_recursion_cost_only_the_attempt(self):
        self.assertIn("sys.exit(3)", self.failure("import sys; sys.exit(3)").message)
        self.assertIn("RecursionError", self.failure("return handle(event, context)").message)
        self.assertIn("KeyboardInterrupt", self.failure("raise KeyboardInterrupt").message)
        self.assertIn("its text could not be made", self.failure(
            "class E(Exception):", "    def __str__(self): raise ValueError", "raise E()").message)

    def test_causes_are_told_and_bounded(self):
        failure = self.failure("try: 1 / 0", "except ZeroDivisionError as error: raise ValueError('x' * 100_000) from error")
        self.assertLessEqual(len(failure.message.encode()), 8 * 1024)
        self.assertTrue(failure.message.endswith("..."))
        self.assertIn("ZeroDivisionError", failure.detail)
        self.assertLessEqual(len(failure.detail.encode()), 16 * 1024)


class Streams(unittest.TestCase):
    def test_a_generator_is_streamed_as_it_yields(self):
        source = lines("def handle(event, context):", "    for n in range(3):", "        yield {'n': n}")
        with FakeServer(source) as server:
            server.ready()
            server.invoke(1, b"")
            answer = server.result(1)
            self.assertTrue(answer.is_stream)
            self.assertEqual(answer.parts, [b'{"n":0}\n', b'{"n":1}\n', b'{"n":2}\n', b""])
            self.assertEqual(answer.attributes, {"datacontenttype": "application/x-ndjson"})

    def test_bytes_are_streamed_as_they_are_and_large_parts_in_pieces(self):
        with FakeServer(lines("def handle(event, context):", "    yield b'a'", "    yield bytes(200_000)")) as server:
            server.ready()
            server.invoke(1, b"")
            answer = server.result(1)
            self.assertEqual(len(answer.data), 200_001)
            self.assertEqual(answer.attributes, {"datacontenttype": "application/octet-stream"})

    def test_a_generator_without_parts_is_none(self):
        with FakeServer(lines("def handle(event, context):", "    return iter_nothing()", "def iter_nothing():", "    return", "    yield")) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertIsNone(server.result(1).data)

    def test_failing_on_the_way_ends_the_stream_with_an_error(self):
        for body, part in (("yield 1; raise ValueError('gone')", "gone"), ("yield 1; yield b'x'", "either bytes only"),
                           ("import apus; yield apus.Event()", "cannot yield"), ("yield bytes(64 << 20); yield b'x'", "more than")):
            with FakeServer(lines("def handle(event, context):", f"    {body}")) as server:
                server.ready()
                server.invoke(1, b"")
                while (frame := server.receive()).kind != "ERROR":
                    self.assertTrue(frame.flags & MORE)
                self.assertIn(part, frame.payload.decode(errors="replace"))

    def test_a_cancelled_stream_ends(self):
        with FakeServer(lines("def handle(event, context):", "    while True: yield b'x' * 1000")) as server:
            server.ready()
            server.invoke(1, b"")
            self.assertEqual(server.expect("RESULT", 1).flags, MORE | STREAM)
            server.send("CANCEL", stream=1)
            while (frame := server.receive()).kind == "DATA":
                pass
            self.assertEqual(frame.kind, "ERROR")
            self.assertIn(b"cancelled", frame.payload)


class Batches(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lambda: None)

    def run_batch(self, body, items=(b"a", b"b", b"c")):
        with FakeServer(lines("import apus", "def handle(events, context):", *(f"    {line}" for line in body)),
                        batch={"maxSize": 16}) as server:
            server.ready()
            self.assertEqual(server.credit, 1)
            server.batch([(stream, block(data)) for stream, data in enumerate(items, 1)])
            answers = [server.whole("ITEM_RESULT", stream) for stream in range(1, len(items) + 1)]
            server.batch([(50, block(b"again"))])
            server.whole("ITEM_RESULT", 50)
            self.assertEqual(server.drain(), 0)
            return answers

    def test_each_event_gets_its_result(self):
        answers = self.run_batch(["return [event.data.decode().upper() for event in events]"])
        self.assertEqual([answer.value for answer in answers], ["A", "B", "C"])

    def test_one_event_may_fail_alone(self):
        answers = self.run_batch(["results = [1, ValueError('mine'), apus.Retry(after=2)]", "return results[:len(events)]"])
        self.assertEqual(answers[0].value, 1)
        self.assertEqual((answers[1].kind, answers[1].message), ("retryable", "ValueError: mine"))
        self.assertEqual((answers[2].kind, answers[2].after), ("retryable", 2000))
        answers = self.run_batch(["return [apus.Reject('bad'), object(), None][:len(events)]"])
        self.assertEqual([answers[0].kind, answers[1].kind, answers[2].data], ["permanent", "retryable", None])

    def test_a_wrong_number_of_results_fails_every_event(self):
        for body, part in (("return [1]*2", "2 results for 3 events"), ("return {}", "not a dict"), ("return 'abc'", "not a str"),
                           ("raise KeyError('x')", "KeyError"), ("return None", "not a NoneType")):
            for answer in self.run_batch([body]):
                self.assertIn(part, answer.message)

    def test_a_generator_of_results_is_a_list_of_results(self):
        answers = self.run_batch(["for event in events: yield event.data.decode()"])
        self.assertEqual([answer.value for answer in answers], ["a", "b", "c"])

    def test_large_items_come_in_parts_both_ways(self):
        with FakeServer("def handle(events, context):\n    return [event.data for event in events]\n", batch={"maxSize": 4}) as server:
            server.ready()
            data = bytes(range(256)) * 2000
            event = invoke_head() + block(data[:5000], size=len(data))
            payload = struct.pack("<II", 1, 0) + struct.pack("<QII", 9, len(event), 0) + event
            server.send("BATCH", payload, 0, MORE)
            server.send("DATA", data[5000:200_000], 9, MORE)
            server.send("DATA", data[200_000:400_000], 9, MORE)
            server.send("DATA", data[400_000:], 9)
            self.assertEqual(server.whole("ITEM_RESULT", 9).data, data)

    def test_context_items_speak_for_one_event_and_a_cancel_counts_when_all_are(self):
        source = lines("def handle(events, context):", "    try: context.emit('t', 1)",
                       "    except RuntimeError as error: context.log.info(error)", "    context.items[1].emit('t', 2)",
                       "    context.progress(0)", "    while not context.cancelled: pass",
                       "    return [item.cancelled for item in context.items]")
        with FakeServer(source, batch={"maxSize": 4}) as server:
            server.ready()
            server.batch([(1, block(b"")), (2, block(b""))])
            self.assertIn(b"context.items[n]", server.expect("LOG", 1).payload)
            self.assertEqual(server.expect("EMIT").stream, 2)
            server.expect("PROGRESS", 1)
            server.send("CANCEL", stream=1)
            server.send("CANCEL", stream=2)
            self.assertEqual([server.whole("ITEM_RESULT").value for _ in range(2)], [True, True])

    def test_a_single_invoke_is_a_batch_of_one(self):
        with FakeServer("def handle(events, context):\n    return [[len(events), events[0].table]]\n", batch={"maxSize": 4}) as server:
            server.ready()
            server.invoke(3, b"x", flags=TABLE)
            self.assertEqual(server.result(3).value, [1, True])


class Tables(unittest.TestCase):
    def test_records_come_in_order_between_invocations(self):
        source = lines("rows = {}", "def handle(event, context):", "    if event.table:", "        if event.data is None: rows.pop(event.key, None)",
                       "        else: rows[event.key] = event.data", "        return", "    return rows")
        with FakeServer(source, triggers=[{"name": "settings", "topic": "settings", "table": True}]) as server:
            server.ready()
            for n, (key, data) in enumerate(((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None)), 1):
                server.invoke(n, data, key, {"datacontenttype": "application/json"}, TABLE, trigger=0, partition=0, offset=n)
                self.assertIsNone(server.result(n).data)
            server.invoke(9, b"", trigger=DIRECT)
            self.assertEqual(server.result(9).value, {"a": 3})

    def test_records_of_a_suspending_handler_stay_in_order(self):
        source = lines("import asyncio", "seen = []", "async def handle(event, context):", "    if event.table:",
                       "        await asyncio.sleep(0.02 if event.data == b'0' else 0)", "        seen.append(event.data.decode())",
                       "    return list(seen)")
        with FakeServer(source, concurrency=8) as server:
            server.ready()
            for n in range(6):
                server.invoke(n + 1, b"%d" % n, flags=TABLE)
            for n in range(6):
                self.assertEqual(server.result(n + 1).value, [str(m) for m in range(n + 1)])


if __name__ == "__main__":
    unittest.main()
