"""The worker for exec as the server sees it: events in, answers out, violations and floods survived or ended cleanly."""
import os
import random
import struct
import time
import unittest

from fake_server import ExecWorker, alive, ends_with, wait_until, wire

CAT = {"main.sh": "#!/bin/sh\nexec cat\n"}


def script(text, handler="main.sh", **more):
    return ExecWorker({"main.sh": "#!/bin/sh\n" + text}, handler, **more).ready()


class Commands(unittest.TestCase):
    def test_says_hello_and_takes_its_concurrency(self):
        with ExecWorker(CAT, "main.sh", concurrency=4).ready() as worker:
            self.assertEqual(struct.unpack_from("<HHIH", worker.hello.payload), (1, 1, 0, 6))
            self.assertEqual(worker.credit, 4)
            worker.drain()

    def test_data_goes_in_and_what_it_prints_comes_out(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            answer = worker.call(b"some\0bytes")
            self.assertEqual(answer.data, b"some\0bytes")
            self.assertEqual(answer.attributes, {"datacontenttype": "text/plain; charset=utf-8"})
            self.assertIsNone(answer.key)

    def test_a_program_on_the_path_with_arguments_and_no_shell(self):
        with ExecWorker({}, "printf %s|%s a $HOME").ready() as worker:
            self.assertEqual(worker.call().data, b"a|$HOME")

    def test_a_file_of_the_bundle_comes_before_the_path(self):
        with ExecWorker({"cat": "#!/bin/sh\necho mine\n"}, "cat").ready() as worker:
            self.assertEqual(worker.call().data, b"mine\n")

    def test_attributes_and_places_come_in_the_environment(self):
        with script("env", environment={"MODEL": "minilm", "CE_ID": "stale", "APUS_FUNCTION": "stale"}) as worker:
            pairs = [("id", "1"), ("type", "com.example.a"), ("source", "/s"), ("tenant2", "t"), ("bad-name", "x"),
                     ("nul", "a\0b"), ("x-header", (128, "h")), ("traceparent", "00-ab-cd-01"), ("partitionkey", "no")]
            answer = worker.call(b"", key=b"k 1", pairs=pairs, attempt=3, trigger=0, partition=2, offset=7, marks=1,
                                 deadline=4102444800_500000)
            lines = dict(line.split("=", 1) for line in answer.data.decode().splitlines())
            wanted = {
                "CE_SPECVERSION": "1.0", "CE_ID": "1", "CE_TYPE": "com.example.a", "CE_SOURCE": "/s", "CE_TENANT2": "t",
                "CE_TRACEPARENT": "00-ab-cd-01", "TRACEPARENT": "00-ab-cd-01", "CE_PARTITIONKEY": "k 1",
                "APUS_FUNCTION": "tested", "APUS_NAMESPACE": "default", "APUS_REVISION": "r1", "APUS_ATTEMPT": "3",
                "APUS_INVOCATION": "0123456789abcdeffedcba9876543210", "APUS_DEADLINE": "4102444800",
                "APUS_TRIGGER": "documents", "APUS_TOPIC": "documents", "APUS_PARTITION": "2", "APUS_OFFSET": "7", "APUS_REPLAY": "true",
                "MODEL": "minilm",
            }
            for name, value in wanted.items():
                self.assertEqual(lines.get(name), value, name)
            for name in lines:
                self.assertFalse(name.startswith("CE_") and name not in wanted, name)

    def test_the_trace_is_the_attempts_own_where_one_is_recorded(self):
        with script("env") as worker:
            pairs = [("traceparent", (128, "00-hop")), ("tracestate", (128, "a=1")), ("traceparent", "00-began")]
            for order in (pairs, pairs[::-1]):
                printed = worker.call(pairs=order).data.decode().splitlines()
                for line in ("TRACEPARENT=00-hop", "TRACESTATE=a=1", "CE_TRACEPARENT=00-began"):
                    self.assertEqual(printed.count(line), 1, line)
            printed = worker.call(pairs=[("tracestate", (128, "a=1"))]).data.decode()
            self.assertNotIn("TRACE", printed)

    def test_a_direct_invocation_names_no_topic(self):
        with script("env") as worker:
            printed = worker.call().data.decode()
            self.assertNotIn("APUS_TOPIC", printed)
            self.assertNotIn("APUS_DEADLINE", printed)
            self.assertNotIn("CE_PARTITIONKEY", printed)

    def test_key_and_attributes_at_their_bounds_fit(self):
        with script("env | wc -c") as worker:
            pairs = [(f"a{index:03}", "v" * 248) for index in range(256)]
            answer = worker.call(b"", key=b"k" * 65536, pairs=pairs)
            self.assertGreater(int(answer.data), 65536 + 256 * 248)

    def test_descriptor_3_takes_the_replys_attributes(self):
        with script('printf "type=com.example.counted\\ndatacontenttype=application/json\\n" >&3\n'
                    'echo partitionkey=k2 >&3; echo type=com.example.last >&3; echo "{}"') as worker:
            answer = worker.call()
            self.assertEqual(answer.attributes, {"datacontenttype": "application/json", "type": "com.example.last"})
            self.assertEqual(answer.key, b"k2")
            self.assertEqual(answer.data, b"{}\n")

    def test_the_request_of_an_http_trigger(self):
        pairs = [("id", "1"), ("apus-http-method", (128, "POST")), ("apus-http-path", (128, "/embed/7")),
                 ("apus-http-param-id", (128, "7")), ("apus-http-query", (128, "a=b")), ("user-agent", (128, "curl/8")),
                 ("proxy", (128, "evil"))]
        with script("echo apus-http-status=404 >&3; echo apus-http-header-location=/x >&3; env") as worker:
            answer = worker.call(pairs=pairs)
            lines = answer.data.decode().splitlines()
            for line in ("APUS_HTTP_METHOD=POST", "APUS_HTTP_PATH=/embed/7", "APUS_HTTP_PARAM_ID=7", "APUS_HTTP_QUERY=a=b",
                         "APUS_HTTP_HEADER_USER_AGENT=curl/8"):
                self.assertIn(line, lines)
            self.assertFalse([line for line in lines if line.startswith("HTTP_")])
            self.assertEqual(answer.attributes["apus-http-status"], b"404")
            self.assertEqual(answer.attributes["location"], b"/x")
            # Headers of a record that is no request are not passed.
            self.assertNotIn(b"HEADER", worker.call(pairs=[("user-agent", (128, "curl/8"))]).data)

    def test_lines_that_are_no_attributes_fail_the_attempt(self):
        for line, part in [("nonsense", "name=value"), ("Type=x", "lower-case"), ("specversion=2.0", "always 1.0"),
                           ("a=\001", "control")]:
            with script(f"printf '{line}' >&3" if line != "a=\001" else "printf 'a=\\001' >&3") as worker:
                failure = worker.call()
                self.assertEqual(failure.code, "function_failed")
                self.assertIn(part, failure.message)
                self.assertIn("line 1 on descriptor 3", failure.message)

    def test_too_many_attributes_are_refused(self):
        with script("i=0; while [ $i -lt 300 ]; do echo a$i=b >&3; i=$((i+1)); done") as worker:
            self.assertIn("more lines than a reply has attributes", worker.call().message)
        with script("head -c 70000 /dev/zero | tr '\\0' x >&3") as worker:
            self.assertIn(worker.call().code, ("function_failed", "result_too_large"))

    def test_no_output_is_nothing(self):
        with script("cat >/dev/null") as worker:
            answer = worker.call(b"x")
            self.assertIsNone(answer.data)
            self.assertEqual(answer.attributes, {})

    def test_a_command_need_not_read_its_input(self):
        with script("echo done") as worker:
            self.assertEqual(worker.call(b"x" * (1 << 20)).data, b"done\n")

    def test_a_closed_output_does_not_end_the_attempt(self):
        with script("echo first; exec >&-; sleep 0.1; exit 0") as worker:
            self.assertEqual(worker.call().data, b"first\n")

    def test_one_after_the_other(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            for index in range(50):
                self.assertEqual(worker.call(str(index).encode()).data, str(index).encode())
            worker.drain()


class Failures(unittest.TestCase):
    def test_exit_codes(self):
        for code, kind, name in [(1, "retryable", "function_failed"), (65, "permanent", "function_rejected"),
                                 (75, "retryable", "function_failed"), (127, "retryable", "function_failed")]:
            with script(f"echo partial; echo first >&2; echo why it failed >&2; exit {code}") as worker:
                failure = worker.call()
                self.assertEqual((failure.kind, failure.code), (kind, name))
                self.assertIn(f"(exit code {code}): why it failed", failure.message)
                self.assertEqual(failure.detail, "first\nwhy it failed\n")
                self.assertEqual(worker.logs, [(1, 5, "first"), (1, 5, "why it failed")])

    def test_a_signal(self):
        with script("kill -SEGV $$") as worker:
            failure = worker.call()
            self.assertEqual((failure.kind, failure.code), ("retryable", "function_failed"))
            self.assertIn("signal 11", failure.message)

    def test_what_cannot_start_says_what_to_change(self):
        for files, handler, part in [
                ({}, "no-such-program", "neither a file of the bundle nor a program on PATH"),
                ({"main.sh": "echo no mode\n"}, "./main.sh", "chmod +x"),
                ({}, "./missing", "neither a file"),
                ({}, "   ", "must be a command"), ({}, "cat " * 65, "1 to 64 words")]:
            with ExecWorker(files, handler) as worker:
                frame = worker.frame()
                self.assertEqual((frame.kind, frame.stream), ("ERROR", 0))
                failure = wire.Failure(frame.payload)
                self.assertEqual(failure.code, "start_failed")
                self.assertIn(part, failure.message)
                ends_with(worker, 1)
        with ExecWorker(CAT, "main.sh", concurrency=33) as worker:
            self.assertIn("from 1 to 32", wire.Failure(worker.frame().payload).message)

    def test_a_script_without_an_interpreter_line(self):
        with ExecWorker({"main": "#x"}, "main") as worker:
            os.chmod(os.path.join(worker.folder.name, "main"), 0o755)
            worker.frame()
        with ExecWorker({"a": "#!/no/such/interpreter\n"}, "a").ready() as worker:
            failure = worker.call()
            self.assertEqual(failure.code, "function_failed")
            self.assertIn("interpreter", failure.message)

    def test_a_table_record_is_refused(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            worker.send(wire.encode("INVOKE", wire.invoke_head() + wire.block(b"x"), 9, wire.TABLE))
            self.assertEqual(worker.answer()[1].code, "function_rejected")


class Ends(unittest.TestCase):
    def test_cancel_ends_the_whole_group(self):
        with script("trap '' TERM; sleep 1000 & echo $! >&2; wait; sleep 1000") as worker:
            stream = worker.invoke()
            self.logged(worker, 1)
            sleeper = int(worker.logs[0][2])
            worker.send(wire.encode("CANCEL", b"", stream))
            _, failure = worker.answer()
            self.assertEqual(failure.code, "cancelled")
            self.assertTrue(wait_until(lambda: not alive(sleeper)))
            worker.drain()

    def test_a_command_may_end_well_when_it_is_asked_to(self):
        with script("trap 'echo saved; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done") as worker:
            stream = worker.invoke()
            self.logged(worker, 1)
            worker.send(wire.encode("CANCEL", b"", stream))
            self.assertEqual(worker.answer()[1].data, b"saved\n")

    def test_the_deadline_kills(self):
        with script("trap '' TERM; sleep 1000") as worker:
            failure = worker.call(deadline=int((time.time() + 0.2) * 1e6))
            self.assertEqual(failure.code, "cancelled")
            self.assertIn("deadline", failure.message)
            self.assertEqual(worker.call(deadline=1).code, "cancelled")

    def test_a_cancel_while_the_data_is_coming(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            worker.send(wire.encode("INVOKE", wire.invoke_head() + wire.block(b"", size=6), 5, wire.MORE))
            worker.send(wire.encode("DATA", b"abc", 5, wire.MORE) + wire.encode("CANCEL", b"", 5))
            worker.send(wire.encode("DATA", b"def", 5))
            self.assertEqual(worker.answer()[1].code, "cancelled")
            worker.send(wire.encode("CANCEL", b"", 5) + wire.encode("CANCEL", b"", 77))
            self.assertEqual(worker.call(b"y").data, b"y")

    def test_children_that_hold_the_output_do_not_hold_up_the_answer(self):
        with script("(sleep 1000) & echo $! >&2; (setsid sleep 3 &) ; echo done") as worker:
            self.assertEqual(worker.call().data, b"done\n")
            self.logged(worker, 1)
            sleeper = int(worker.logs[0][2])
            self.assertTrue(wait_until(lambda: not alive(sleeper)))

    def test_the_end_of_the_server_ends_everything(self):
        with script("echo $$ >&2; sleep 1000") as worker:
            worker.invoke()
            self.logged(worker, 1)
            os.close(worker.to_worker)
            ends_with(worker, 0)
            self.assertTrue(wait_until(lambda: not alive(int(worker.logs[0][2]))))

    def test_drain_lets_what_runs_finish(self):
        with script("sleep 0.2; cat") as worker:
            worker.invoke(b"late")
            worker.send(wire.encode("DRAIN"))
            self.assertEqual(worker.answer()[1].data, b"late")
            self.assertEqual(worker.frame().kind, "BYE")
            ends_with(worker, 0)

    def logged(self, worker, count):
        """Waits for log lines while no other frame comes."""
        end = time.monotonic() + 20
        while len(worker.logs) < count:
            self.assertLess(time.monotonic(), end)
            try:
                frame = worker.frame(0.05)
                self.fail(frame)
            except AssertionError as error:
                if "no frame within" not in str(error):
                    raise


class Bounds(unittest.TestCase):
    def test_large_data_both_ways(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            for size in (65536, 262120, 262144, 1 << 20, 16 << 20):
                data = os.urandom(1024) * (size // 1024)
                answer = worker.call(data)
                self.assertEqual(len(answer.data), len(data))
                self.assertTrue(answer.data == data)

    def test_a_pipe_that_takes_all_at_once_holds_up_nothing(self):
        # The whole buffer fits such a pipe: what was waiting for room must go on by itself.
        with script("cat; yes x | head -c 20000 >&2", pipe_bytes=1 << 20) as worker:
            data = os.urandom(1024) * 4096
            for _ in range(3):
                self.assertTrue(worker.call(data).data == data)
            pings = wire.encode("PING", bytes(200000)) * 20
            worker.send(pings)
            for _ in range(20):
                self.assertEqual(worker.frame().kind, "PING")

    def test_the_largest_result_and_one_byte_more(self):
        with script("head -c $CE_SIZE /dev/zero") as worker:
            for size in ((16 << 20) + 1, 64 << 20, 5):
                self.assertEqual(len(worker.call(pairs=[("size", str(size))]).data), size)
            failure = worker.call(pairs=[("size", str((64 << 20) + 1))])
            self.assertEqual((failure.kind, failure.code), ("permanent", "result_too_large"))
        with script("exec yes") as worker:
            self.assertEqual(worker.call().code, "result_too_large")

    def test_a_flood_of_errors_is_passed_on_and_ends(self):
        with script("yes '' | head -c 200000 >&2; head -c 20000 /dev/zero | tr '\\0' x >&2; exit 3") as worker:
            failure = worker.call()
            self.assertEqual(len(failure.detail), 8192)
            self.assertEqual(len(worker.logs), 200001)
            self.assertEqual(len(worker.logs[-1][2]), 8192)

    def test_as_many_at_once_as_it_took_credit_for(self):
        with script("sleep 0.1; cat", concurrency=32) as worker:
            sent = {worker.invoke(str(index).encode() * 30000): str(index).encode() * 30000 for index in range(32)}
            for _ in range(32):
                stream, answer = worker.answer()
                self.assertEqual(answer.data, sent.pop(stream))
            self.assertEqual(sent, {})
            worker.drain()

    def test_a_server_that_does_not_read_holds_up_and_loses_nothing(self):
        with script("head -c 4000000 /dev/zero; yes | head -n 10000 >&2", concurrency=2) as worker:
            worker.invoke()
            worker.invoke()
            time_left = time.monotonic() + 0.5
            wait_until(lambda: time.monotonic() > time_left)
            self.assertEqual([len(worker.answer()[1].data) for _ in range(2)], [4000000, 4000000])
            self.assertEqual(len(worker.logs), 20000)


class Violations(unittest.TestCase):
    def violate(self, raw, initialize=True):
        with ExecWorker(CAT, "main.sh", initialize=initialize) as worker:
            if initialize:
                worker.ready()
            worker.send(raw)
            ends_with(worker, 70)
            self.assertIn("broke the worker protocol", worker.printed())

    def test_frames_that_are_none(self):
        good = wire.invoke_head() + wire.block(b"data", b"k", [("id", "1")])
        broken = {
            "another version": wire.encode("PING", version=2),
            "too long": struct.pack("<IBBHQq", 262121, 16, 0, 1, 1, 0),
            "unknown type": wire.encode(99),
            "unknown flag": wire.encode("INVOKE", good, 1, 64),
            "descriptor": wire.encode("INVOKE", good, 1, wire.DESCRIPTOR),
            "stream 0": wire.encode("INVOKE", good, 0),
            "no event": wire.encode("INVOKE", good[:50], 1),
            "cut off": wire.encode("INVOKE", good[:-1], 1),
            "longer": wire.encode("INVOKE", good + b"x", 1),
            "batch": wire.encode("BATCH", struct.pack("<II", 0, 0)),
            "data for nobody": wire.encode("DATA", b"x", 1),
            "second INIT": wire.encode("INIT", b"{}"),
            "attribute without a name": wire.encode(
                "INVOKE", wire.invoke_head() + struct.pack("<qIIII", 0, wire.NO_KEY, 4, 0, 1) + b"\0\0\0\0", 1),
            "attribute over the end": wire.encode(
                "INVOKE", wire.invoke_head() + struct.pack("<qIIII", 0, wire.NO_KEY, 4, 0, 1) + b"\xff\0\xff\xff", 1),
            "key over its bound": wire.encode(
                "INVOKE", wire.invoke_head() + struct.pack("<qIIII", 0, 70000, 0, 0, 1) + bytes(70000), 1),
            "data over its bound": wire.encode(
                "INVOKE", wire.invoke_head() + struct.pack("<qIIII", 0, wire.NO_KEY, 0, (16 << 20) + 1, 0), 1, wire.MORE),
            "null data with data": wire.encode(
                "INVOKE", wire.invoke_head() + struct.pack("<qIIII", 0, wire.NO_KEY, 0, 1, 1) + b"x", 1),
            "more than announced": wire.encode(
                "INVOKE", wire.invoke_head() + wire.block(b"", size=2), 1, wire.MORE) + wire.encode("DATA", b"abc", 1),
            "less than announced": wire.encode(
                "INVOKE", wire.invoke_head() + wire.block(b"", size=2), 1, wire.MORE) + wire.encode("DATA", b"a", 1),
        }
        for name, raw in broken.items():
            with self.subTest(name):
                self.violate(raw)

    def test_more_than_the_credit(self):
        with script("sleep 10") as worker:
            worker.invoke()
            worker.invoke()
            ends_with(worker, 70)

    def test_before_init(self):
        self.violate(wire.encode("INVOKE", wire.invoke_head() + wire.block(b"x"), 1), initialize=False)
        for text in (b"", b"[]", b"{", b'{"function": 1', b'{"a":' * 500, b'{"handler": "\\ud800"}', b'{"x": \0}',
                     b'{"function": "' + b"f" * 500 + b'"}', b'{"triggers": [' + b'{},' * 100 + b'{}]}'):
            with self.subTest(text[:20]):
                self.violate(wire.encode("INIT", text), initialize=False)

    def test_ping_is_answered_with_the_same_bytes(self):
        with ExecWorker(CAT, "main.sh").ready() as worker:
            for payload in (b"", b"abc", bytes(262120)):
                worker.send(wire.encode("PING", payload))
                frame = worker.frame()
                self.assertEqual((frame.kind, frame.flags, frame.payload), ("PING", wire.ANSWER, payload))

    def test_damaged_frames_end_it_cleanly_or_are_answered(self):
        """Each run damages a good session somewhere; the sanitizers say when that reaches memory."""
        seed = int(os.environ.get("APUS_SEED", "20260101"))
        source = random.Random(seed)
        init = wire.encode("INIT", b'{"function": "f", "handler": "cat", "concurrency": 2, "path": "/tmp", '
                                   b'"triggers": [{"name": "a\\u00e9", "topic": "t"}], "x": [1, {"y": null}]}')
        event = wire.invoke_head() + wire.block(b"data" * 8, b"key", [("id", "1"), ("type", "t"), ("h", (128, "v"))])
        session = (init + wire.encode("INVOKE", event, 1) + wire.encode("PING", b"p") + wire.encode("CANCEL", b"", 1)
                   + wire.encode("INVOKE", wire.invoke_head() + wire.block(b"", size=4), 2, wire.MORE)
                   + wire.encode("DATA", b"ab", 2, wire.MORE) + wire.encode("DATA", b"cd", 2) + wire.encode("DRAIN"))
        for run in range(int(os.environ.get("APUS_RUNS", "150"))):
            raw = bytearray(session)
            for _ in range(source.randint(1, 4)):
                at = source.randrange(len(raw))
                how = source.randrange(4)
                if how == 0:
                    raw[at] ^= 1 << source.randrange(8)
                elif how == 1:
                    raw[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
                elif how == 2:
                    del raw[at:at + source.randint(1, 8)]
                else:
                    raw[at:at] = source.randbytes(source.randint(1, 8))
            with ExecWorker({}, "cat", initialize=False) as worker:
                try:
                    worker.send(bytes(raw))
                    os.close(worker.to_worker)
                    while True:
                        worker.frame()
                except (wire.WorkerGone, BrokenPipeError):
                    pass
                code = worker.process.wait(20)
                self.assertIn(code, (0, 1, 70), f"seed {seed}, run {run}: {worker.printed()}")
                self.assertNotIn("runtime error", worker.printed(), f"seed {seed}, run {run}")


if __name__ == "__main__":
    unittest.main()
