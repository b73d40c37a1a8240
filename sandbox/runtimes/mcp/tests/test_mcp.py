"""The worker for mcp as the server sees it: calls in, answers out; servers that lie, hang, flood or die harm nobody but themselves."""
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.dirname(HERE)

# The server's side is that of the tests of the worker for exec.
_spec = importlib.util.spec_from_file_location(
    "exec_server", os.path.join(SOURCES, "..", "exec", "tests", "fake_server.py"))
exec_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(exec_server)
wire, alive, ends_with, wait_until = (
    exec_server.wire, exec_server.alive, exec_server.ends_with, exec_server.wait_until)

_built = None


def build():
    """The worker, built with the address and undefined-behaviour sanitizers; once per run."""
    global _built
    if _built is None:
        _built = tempfile.TemporaryDirectory()
        compiler = shutil.which("gcc") or shutil.which("clang") or "cc"
        common = os.path.join(SOURCES, "..", "common")
        sources = [os.path.join(place, name) for place in (common, SOURCES) for name in sorted(os.listdir(place))
                   if name.endswith(".c")]
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
                        "-fno-sanitize-recover=all", "-I", os.path.join(common, "include"),
                        "-o", os.path.join(_built.name, "worker"), *sources], check=True)
    return os.path.join(_built.name, "worker")


exec_server.worker = build

# What every server of these tests begins with: `answer` writes a line, `serve` calls a function for each message.
PREAMBLE = """#!%s
import json, os, sys, time
def say(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()
def answer(message, result):
    say({"jsonrpc": "2.0", "id": message["id"], "result": result})
def serve(handle, initialize=True):
    for line in sys.stdin:
        message = json.loads(line)
        if initialize and message.get("method") == "initialize":
            answer(message, {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "t", "version": "1"}})
        else:
            handle(message)
""" % sys.executable

ECHO = """
def handle(message):
    if "id" in message:
        answer(message, {"method": message["method"], "params": message.get("params")})
serve(handle)
"""


def start(text=ECHO, ready=True, **more):
    worker = exec_server.ExecWorker({"main.py": PREAMBLE + text}, "./main.py", **more)
    return worker.ready() if ready else worker


def ask(worker, method="tools/call", params=None, **more):
    data = {"method": method} if params is None else {"method": method, "params": params}
    return worker.invoke(json.dumps(data).encode(), **more)


def call(worker, *arguments, **more):
    stream = ask(worker, *arguments, **more)
    answered, answer = worker.answer()
    assert answered == stream, (answered, stream)
    return answer



def asked(worker, answers=None, capabilities={"elicitation": {}}):
    """The message that a call comes to with what its caller's client offers and has answered."""
    data = {"capabilities": capabilities, **({"answers": answers} if answers is not None else {}),
            "method": "tools/call", "params": {"name": "a"}}
    stream = worker.invoke(json.dumps(data, indent=1).encode())
    answered, answer = worker.answer()
    assert answered == stream
    return json.loads(answer.data)


class Calls(unittest.TestCase):
    def test_says_hello_and_takes_its_concurrency(self):
        with start(concurrency=4) as worker:
            self.assertEqual(worker.hello.payload[10:], b"mcp 1")
            self.assertEqual(worker.credit, 4)
            worker.drain()

    def test_a_call_becomes_a_line_and_the_line_that_answers_the_result(self):
        with start() as worker:
            answer = call(worker, "tools/call", {"name": "a", "arguments": {"x": "y\nz", "n": 12345678901234567890}})
            self.assertEqual(answer.attributes, {"datacontenttype": "application/json"})
            self.assertIsNone(answer.key)
            message = json.loads(answer.data)
            self.assertEqual(message["result"]["params"],
                             {"name": "a", "arguments": {"x": "y\nz", "n": 12345678901234567890}})

    def test_json_over_several_lines_is_one_line_for_the_server(self):
        with start() as worker:
            stream = worker.invoke(b' \r\n{\n "method"\n:\n"tools/list",\r\n "params": {"a":\n[1,\n2]}\n}\n ')
            answered, answer = worker.answer()
            self.assertEqual(answered, stream)
            self.assertEqual(json.loads(answer.data)["result"], {"method": "tools/list", "params": {"a": [1, 2]}})

    def test_errors_of_the_server_are_passed_on(self):
        text = """
def handle(message):
    if "id" in message:
        say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "no"}})
serve(handle)
"""
        with start(text) as worker:
            self.assertEqual(json.loads(call(worker).data)["error"], {"code": -32602, "message": "no"})

    def test_answers_find_their_calls_in_any_order(self):
        text = """
waiting = []
def handle(message):
    if "id" not in message: return
    waiting.append(message)
    if len(waiting) == 3:
        for each in reversed(waiting): answer(each, each["params"])
        waiting.clear()
serve(handle)
"""
        with start(text, concurrency=3) as worker:
            streams = [ask(worker, params={"n": n}) for n in range(3)]
            answers = dict(worker.answer() for _ in range(3))
            for n, stream in enumerate(streams):
                self.assertEqual(json.loads(answers[stream].data)["result"], {"n": n})

    def test_large_calls_and_answers_come_whole(self):
        with start(pipe_bytes=4096) as worker:
            text = "x" * 900_000
            answer = call(worker, params={"text": text})
            self.assertEqual(json.loads(answer.data)["result"]["params"]["text"], text)
            self.assertEqual(json.loads(call(worker, params={"n": 1}).data)["result"]["params"], {"n": 1})

    def test_progress_of_a_call_is_told_with_its_stream(self):
        text = """
def handle(message):
    if "id" not in message: return
    token = message["params"]["_meta"]["progressToken"]
    for done, total in ((1, 4), (0.5, 1), (3, None)):
        params = {"progressToken": token, "progress": done, "message": "at it"}
        if total: params["total"] = total
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "another", "progress": 9}})
    answer(message, {})
serve(handle)
"""
        with start(text) as worker:
            stream = ask(worker, params={"_meta": {"a": {"progressToken": 1}, "progressToken": "t-1"}})
            told = []
            while (frame := worker.frame()).kind == "PROGRESS":
                self.assertEqual(frame.stream, stream)
                told.append((*wire.struct.unpack_from("<QQ", frame.payload), frame.payload[16:]))
            self.assertEqual(frame.kind, "RESULT")
            self.assertEqual(told, [(1, 4, b"at it"), (500, 1000, b"at it"), (3, 0, b"at it")])

    def test_a_changed_list_is_told_with_the_next_result_once(self):
        text = """
def handle(message):
    if "id" not in message: return
    if "change" in message["params"]:
        say({"jsonrpc": "2.0", "method": "notifications/%s/list_changed" % message["params"]["change"]})
    answer(message, {})
serve(handle)
"""
        with start(text) as worker:
            self.assertNotIn("listchanged", call(worker, params={}).attributes)
            for kind in ("tools", "prompts", "resources"):
                self.assertEqual(call(worker, params={"change": kind}).attributes.get("listchanged"), "true")
            self.assertNotIn("listchanged", call(worker, params={}).attributes)

    # A server that asks `questions` one after another in the middle of each call, and gives the answers as its result.
    ASKING = """
calls, left = [], []
questions = %r
def ask():
    method, params = questions[len(calls[0][1])]
    say({"jsonrpc": "2.0", "id": "q", "method": method, "params": params})
def handle(message):
    if "method" in message and "id" in message:
        calls[:] = [(message, [])]
        ask()
    elif message.get("method") == "notifications/cancelled":
        left.append(message["params"]["requestId"])
        calls.clear()
    elif message.get("id") == "q" and calls:
        call, answers = calls[0]
        answers.append(message.get("result", message.get("error")))
        if len(answers) < len(questions): ask()
        else: answer(call, {"said": answers, "params": call["params"], "left": len(left)})
serve(handle)
"""
    FORM = ("elicitation/create", {"message": "Who?\nYou?", "requestedSchema": {"type": "object", "properties": {}}})

    def test_a_question_ends_the_call_and_the_next_one_answers_it(self):
        with start(self.ASKING % [self.FORM, self.FORM]) as worker:
            first = asked(worker)
            self.assertEqual((first["again"], first["result"]["resultType"]), (True, "input_required"))
            (name, request), = first["result"]["inputRequests"].items()
            self.assertEqual(request, {"method": self.FORM[0], "params": self.FORM[1]})
            # The same question a second time is another one.
            answers = {name: {"action": "accept", "content": {"text": "Ada\n"}}}
            (other, _), = asked(worker, answers)["result"]["inputRequests"].items()
            self.assertNotEqual(other, name)
            answers[other] = {"action": "decline"}
            last = asked(worker, answers)["result"]
            self.assertEqual(last, {"said": [answers[name], answers[other]], "params": {"name": "a"}, "left": 2})

    def test_an_answer_is_none_to_a_question_that_says_something_else(self):
        with start(self.ASKING % [self.FORM]) as worker:
            (name, _), = asked(worker)["result"]["inputRequests"].items()
        other = (self.FORM[0], {**self.FORM[1], "message": "Delete everything?"})
        with start(self.ASKING % [other]) as worker:
            self.assertTrue(asked(worker, {name: {"action": "accept"}})["again"])

    def test_a_client_that_cannot_be_asked_is_refused_for(self):
        url = ("elicitation/create", {"mode": "url", "message": "Go", "url": "https://example.com/"})
        sample = ("sampling/createMessage", {"messages": []})
        for question, capabilities, wanted in (
                (self.FORM, {}, False), (sample, {"elicitation": {}}, False), (url, {"elicitation": {}}, False),
                (("roots/list", {}), {"roots": {}, "elicitation": {}}, False), (url, {"elicitation": {"url": {}}}, True),
                (self.FORM, {"elicitation": {"url": {}}}, False), (sample, {"sampling": {}}, True),
                ((sample[0], {"messages": [], "tools": []}), {"sampling": {}}, False),
                ((sample[0], {"messages": [], "tools": []}), {"sampling": {"tools": {}}}, True)):
            with start(self.ASKING % [question]) as worker:
                message = asked(worker, capabilities=capabilities)
                self.assertEqual(message.get("again", False), wanted, (question, capabilities))
                if not wanted:
                    self.assertEqual(message["result"]["said"][0]["code"], -32601)

    def test_an_answer_that_was_none_is_an_error_for_the_server(self):
        with start(self.ASKING % [self.FORM]) as worker:
            (name, _), = asked(worker)["result"]["inputRequests"].items()
            last = asked(worker, {name: {"action": "cancel", "error": True}})
            self.assertEqual(last["result"]["said"][0]["code"], -32603)

    def test_questions_and_answers_over_their_bound_are_refused(self):
        large = (self.FORM[0], {"message": "x" * 50_000})
        with start(self.ASKING % [large]) as worker:
            self.assertEqual(asked(worker)["result"]["said"][0]["code"], -32601)
        with start(self.ASKING % [self.FORM]) as worker:
            (name, _), = asked(worker)["result"]["inputRequests"].items()
            last = asked(worker, {name: {"action": "accept", "content": {"text": "x" * 50_000}}})
            self.assertEqual(last["result"]["said"][0]["code"], -32603)
        many = [(self.FORM[0], {"message": str(number)}) for number in range(65)]
        with start(self.ASKING % many) as worker:
            answers = {}
            for _ in range(64):
                (name, _), = asked(worker, answers)["result"]["inputRequests"].items()
                answers[name] = {"action": "accept"}
            self.assertEqual(asked(worker, answers)["result"]["said"][64]["code"], -32601)

    def test_nobody_is_asked_while_it_is_unclear_whose_call_asks(self):
        text = """
waiting = []
def handle(message):
    if "method" in message and "id" in message:
        waiting.append(message)
        if len(waiting) == 2:
            say({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "?"}})
    elif message.get("id") == "q":
        for each in waiting: answer(each, message["error"])
serve(handle)
"""
        with start(text, concurrency=2) as worker:
            data = json.dumps({"capabilities": {"elicitation": {}}, "method": "tools/call"}).encode()
            for _ in range(2):
                worker.invoke(data)
            for _ in range(2):
                self.assertEqual(json.loads(worker.answer()[1].data)["result"]["code"], -32601)

    def test_what_is_ours_stands_before_the_request_and_is_bounded(self):
        with start() as worker:
            for data in (b'{"method": "a", "capabilities": {}}', b'{"capabilities": [], "method": "a"}',
                         b'{"answers": 1, "method": "a"}', b'{"capabilities": {}}',
                         json.dumps({"capabilities": {"x": "y" * 600}, "method": "a"}).encode()):
                worker.invoke(data)
                self.assertEqual(wire.Failure(worker.frame().payload).code, "function_rejected")
            self.assertEqual(asked(worker, {})["result"], {"method": "tools/call", "params": {"name": "a"}})

    def test_questions_of_the_server_are_answered_that_we_offer_nothing(self):
        text = """
calls = []
def handle(message):
    if "method" in message and "id" in message:
        calls.append(message)
        say({"jsonrpc": "2.0", "id": "p", "method": "ping"})
        say({"jsonrpc": "2.0", "id": 7, "method": "roots/list"})
    elif message.get("id") == "p":
        calls.append(message["result"])
    elif message.get("id") == 7:
        answer(calls[0], [calls[1], message["error"]["code"]])
serve(handle)
"""
        with start(text) as worker:
            self.assertEqual(json.loads(call(worker).data)["result"], [{}, -32601])

    def test_secrets_are_variables_of_the_server(self):
        text = """
def handle(message):
    if "id" in message: answer(message, [os.environ.get("MODEL"), os.path.exists("/proc/self/fd/6")])
serve(handle)
"""
        with start(text, environment={"MODEL": "minilm"}) as worker:
            self.assertEqual(json.loads(call(worker).data)["result"], ["minilm", False])

    def test_data_that_is_no_request_is_rejected_and_never_written(self):
        with start() as worker:
            for data in (b"", b"[]", b"{", b"{}", b'{"method":1}', b'{"method":"a","id":1}', b'{"method":"a"}{',
                         b'{"method":"a","jsonrpc":"2.0"}', b'{"method":"a"} x', b"null", b'{"method":"a",}'):
                answer = worker.call(data)
                self.assertIsInstance(answer, wire.Failure, data)
                self.assertEqual((answer.code, answer.kind), ("function_rejected", "permanent"), data)
            self.assertEqual(json.loads(call(worker).data)["result"]["method"], "tools/call")


class Handshakes(unittest.TestCase):
    def test_the_server_is_told_that_it_is_initialized_before_any_call(self):
        text = """
seen = []
def handle(message):
    seen.append(message["method"])
    if "id" in message: answer(message, seen)
serve(handle)
"""
        with start(text) as worker:
            self.assertEqual(json.loads(call(worker).data)["result"], ["notifications/initialized", "tools/call"])

    def test_a_server_without_handshakes_is_asked_what_it_speaks(self):
        text = """
def handle(message):
    if message["method"] == "initialize":
        say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "only 2026-07-28"}})
    elif message["method"] == "server/discover":
        answer(message, {"resultType": "complete", "supportedVersions": ["2026-07-28"]})
    else:
        answer(message, message["params"])
serve(handle, initialize=False)
"""
        with start(text) as worker:
            own = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
                   "io.modelcontextprotocol/clientInfo": {"name": "apus", "version": "1"}}
            for params, wanted in ((None, {"_meta": own}), ({}, {"_meta": own}), ({"a": 1}, {"a": 1, "_meta": own}),
                                   ({"_meta": {}, "b": 2}, {"b": 2, "_meta": own}),
                                   ({"_meta": {"progressToken": "t"}}, {"_meta": {**own, "progressToken": "t"}})):
                self.assertEqual(json.loads(call(worker, params=params).data)["result"], wanted)
            # Each request says what its caller's client can be asked.
            can = {"elicitation": {"url": {}}}
            own["io.modelcontextprotocol/clientCapabilities"] = can
            self.assertEqual(asked(worker, capabilities=can)["result"], {"name": "a", "_meta": own})

    def fails(self, text, *words):
        with start(text, ready=False) as worker:
            frame = worker.frame()
            self.assertEqual((frame.kind, frame.stream), ("ERROR", 0))
            failure = wire.Failure(frame.payload)
            self.assertEqual(failure.code, "start_failed")
            for word in words:
                self.assertIn(word, failure.message)
            ends_with(worker, 1)

    def test_a_server_that_refuses_both_is_a_failed_start(self):
        self.fails("""
def handle(message):
    say({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "never " * 1000}})
serve(handle, initialize=False)
""", "server/discover", "never")

    def test_a_server_that_ends_at_once_is_a_failed_start(self):
        self.fails("sys.exit(3)\n", "exit code 3")

    def test_a_server_that_closes_its_output_is_a_failed_start(self):
        self.fails("os.close(1)\ntime.sleep(600)\n", "signal 9")

    def test_a_command_that_is_not_there_is_a_failed_start(self):
        with exec_server.ExecWorker({}, "./none") as worker:
            self.assertEqual(wire.Failure(worker.frame().payload).code, "start_failed")
            ends_with(worker, 1)


class Misbehaviour(unittest.TestCase):
    def test_lines_that_are_no_messages_are_passed_over(self):
        text = """
print("starting up", flush=True)
def handle(message):
    if "id" not in message: return
    for junk in ("", "{", "[]", "null", '{"id":1}', '{"jsonrpc":"2.0","id":99,"result":1}', '"' * 500, "{" * 5000,
                 '{"jsonrpc":"2.0","id":"2","result":1}', '{"method":7,"id":2,"result":1}'):
        sys.stdout.write(junk + "\\n")
    answer(message, "true one")
    answer(message, "twice")
serve(handle)
"""
        with start(text) as worker:
            for _ in range(3):
                self.assertEqual(json.loads(call(worker).data)["result"], "true one")
            self.assertIn("no message: starting up", worker.printed())

    def test_an_answer_over_its_bound_fails_the_call_and_not_the_next(self):
        text = """
def handle(message):
    if "id" in message: answer(message, "x" * (5_000_000 if message["params"] else 10))
serve(handle)
"""
        with start(text) as worker:
            answer = call(worker, params={"large": True})
            self.assertIsInstance(answer, wire.Failure)
            self.assertIn("4 MiB", answer.message)
            self.assertEqual(json.loads(call(worker, params={}).data)["result"], "x" * 10)

    def test_a_server_that_hangs_is_told_of_the_cancel_and_the_call_is_answered(self):
        text = """
cancelled = []
def handle(message):
    if message["method"] == "notifications/cancelled": cancelled.append(message["params"]["requestId"])
    elif message.get("params") == {}: answer(message, cancelled)
    elif "id" in message:
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}})
serve(handle)
"""
        with start(text) as worker:
            stream = ask(worker, params={"_meta": {"progressToken": 1}})
            self.assertEqual(worker.frame().kind, "PROGRESS")
            worker.send(wire.encode("CANCEL", b"", stream))
            answered, answer = worker.answer()
            self.assertEqual((answered, answer.code), (stream, "cancelled"))
            self.assertEqual(json.loads(call(worker, params={}).data)["result"], [2])
            worker.drain()

    def test_a_server_that_says_nothing_to_two_calls_is_ended(self):
        text = """
def handle(message):
    if "id" in message:
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}})
        time.sleep(600)
serve(handle)
"""
        with start(text) as worker:
            stream = ask(worker, params={"_meta": {"progressToken": 1}})
            self.assertEqual(worker.frame().kind, "PROGRESS")
            worker.send(wire.encode("CANCEL", b"", stream))
            self.assertEqual(worker.answer()[1].code, "cancelled")
            stream = ask(worker)
            # Its line is in the pipe: small lines are written at once.
            worker.send(wire.encode("PING", b"x"))
            self.assertEqual(worker.frame().kind, "PING")
            worker.send(wire.encode("CANCEL", b"", stream))
            self.assertEqual(worker.answer()[1].code, "cancelled")
            ends_with(worker, 1)

    def test_a_server_that_reads_nothing_is_ended_before_its_lines_mix(self):
        text = """
line = sys.stdin.readline()
answer(json.loads(line), {})
time.sleep(600)
"""
        with start(text) as worker:
            cancelled = 0
            with self.assertRaises((wire.WorkerGone, BrokenPipeError)):
                for _ in range(20):
                    stream = ask(worker, params={"text": "x" * 200_000})
                    worker.send(wire.encode("CANCEL", b"", stream))
                    answered, answer = worker.answer()
                    self.assertEqual((answered, answer.code), (stream, "cancelled"))
                    cancelled += 1
            self.assertGreaterEqual(cancelled, 1)
            ends_with(worker, 1)

    def test_a_server_that_dies_fails_its_calls_and_ends_the_worker(self):
        text = """
def handle(message):
    if "id" in message: os._exit(5)
serve(handle)
"""
        with start(text, concurrency=2) as worker:
            answer = call(worker)
            self.assertEqual((answer.code, answer.kind), ("function_failed", "retryable"))
            self.assertIn("exit code 5", answer.message)
            ends_with(worker, 1)

    def test_what_it_answered_before_it_died_counts(self):
        text = """
def handle(message):
    if "id" in message:
        answer(message, "x" * 1_000_000)
        os._exit(0)
serve(handle)
"""
        with start(text) as worker:
            self.assertEqual(len(json.loads(call(worker).data)["result"]), 1_000_000)
            ends_with(worker, 1)

    def test_when_the_server_is_gone_so_is_the_child(self):
        text = """
def handle(message):
    if "id" in message: answer(message, os.getpid())
serve(handle)
"""
        with start(text) as worker:
            child = json.loads(call(worker).data)["result"]
            self.assertTrue(alive(child))
            worker.close()
            self.assertTrue(wait_until(lambda: not alive(child)))

    def test_draining_waits_for_what_is_under_way_and_closes_the_servers_input(self):
        text = """
def handle(message):
    if "id" in message:
        time.sleep(0.2)
        answer(message, "done")
serve(handle)
open("ended", "w").write("yes")
"""
        with start(text) as worker:
            stream = ask(worker)
            worker.send(wire.encode("DRAIN"))
            answered, answer = worker.answer()
            self.assertEqual((answered, json.loads(answer.data)["result"]), (stream, "done"))
            self.assertEqual(worker.frame().kind, "BYE")
            ends_with(worker, 0)
            self.assertTrue(os.path.exists(os.path.join(worker.folder.name, "ended")))


class Violations(unittest.TestCase):
    def test_frames_that_break_the_protocol_end_the_worker(self):
        seed = int(os.environ.get("APUS_SEED", random.randrange(1 << 32)))
        rounds = int(os.environ.get("APUS_RUNS", 40))
        draw = random.Random(seed)
        event = wire.invoke_head() + wire.block(b'{"method":"a"}', None, ())
        for _ in range(rounds):
            raw = bytearray(wire.encode("INVOKE", event, 1))
            for _ in range(draw.randrange(1, 6)):
                raw[draw.randrange(len(raw))] = draw.randrange(256)
            with start() as worker:
                try:
                    worker.send(bytes(raw))
                    os.close(worker.to_worker)
                    worker.to_worker = os.dup(worker.from_worker)
                except (wire.WorkerGone, OSError):
                    pass
                code = worker.process.wait(exec_server.DEADLINE_SECONDS)
                self.assertIn(code, (0, 1, 70), f"APUS_SEED={seed}: {worker.printed()}")
                self.assertNotIn("Sanitizer", worker.printed(), f"APUS_SEED={seed}")


if __name__ == "__main__":
    unittest.main()
