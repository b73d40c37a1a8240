"""The functions that ship, run by the real worker: golden inputs and outputs."""
import json
import math
import os
import sys
import unittest

import layers
from fake_server import TABLE, FakeServer, block

ECHO = os.path.join(layers.ROOT, "functions", "echo")
HTTP_ECHO = os.path.join(layers.ROOT, "functions", "http-echo")


def golden(folder):
    with open(os.path.join(folder, "golden", "cases.json")) as file:
        return json.load(file)


def cosine(left, right):
    return sum(a * b for a, b in zip(left, right)) / math.sqrt(sum(a * a for a in left)) / math.sqrt(sum(b * b for b in right))


class Echo(unittest.TestCase):
    def test_golden_inputs_give_golden_outputs(self):
        with FakeServer(None, "main:echo", folder=ECHO) as server:
            server.ready()
            for stream, case in enumerate(golden(ECHO), 1):
                server.invoke(stream, case["data"].encode(), b"k", {"datacontenttype": case["datacontenttype"], "id": "1"})
                answer = server.result(stream)
                self.assertEqual(answer.data.decode(), case["expected"]["data"], case["name"])
                self.assertEqual(answer.attributes["datacontenttype"], case["expected"]["datacontenttype"], case["name"])
                self.assertEqual((answer.key, answer.attributes["id"]), (b"k", "1"))


class HTTPEcho(unittest.TestCase):
    def pairs(self, request):
        pairs = [("datacontenttype", request["datacontenttype"])] if "datacontenttype" in request else []
        headers = [("apus-http-method", request["method"]), ("apus-http-path", request["path"])]
        headers += [(f"apus-http-param-{name}", value) for name, value in request["params"].items()]
        headers += [("apus-http-query", request["query"])] if "query" in request else []
        return pairs + [(name, (128, value.encode())) for name, value in headers + request.get("headers", [])]

    def test_golden_requests_give_golden_answers(self):
        with FakeServer(None, "main:answer", folder=HTTP_ECHO) as server:
            server.ready()
            for stream, case in enumerate(golden(HTTP_ECHO), 1):
                request = case["request"]
                data = request["data"].encode() if "data" in request else None
                server.invoke(stream, data, None, self.pairs(request))
                answer = server.result(stream)
                self.assertEqual(json.loads(answer.data), case["expected"]["body"], case["name"])
                self.assertEqual(answer.attributes["apus-http-status"].decode(), case["expected"]["status"], case["name"])

    def test_other_ways_to_call_it_are_rejected(self):
        with FakeServer(None, "main:answer", folder=HTTP_ECHO) as server:
            server.ready()
            server.invoke_json(1, {})
            self.assertEqual(server.error(1).kind, "permanent")


class WithLayer(unittest.TestCase):
    def setUp(self):
        if reason := layers.missing_layer():
            print(f"skipped: {reason}", file=sys.stderr)
            self.skipTest(reason)

    def function(self, handler, **more):
        return FakeServer(None, handler, folder=layers.EMBED_TEXT, layer=layers.LAYER, **more)


class EmbedText(WithLayer):
    def embed(self, texts):
        with self.function("main:embed", batch={"maxSize": 16}) as server:
            server.ready()
            vectors = []
            for start in range(0, len(texts), 16):
                part = texts[start:start + 16]
                server.batch([(n, block(json.dumps({"text": text, "source": "s"}).encode(), b"key%d" % n,
                                        {"datacontenttype": "application/json"})) for n, text in enumerate(part, 1)])
                for n, text in enumerate(part, 1):
                    answer = server.whole("ITEM_RESULT", n)
                    value = answer.value
                    self.assertEqual((answer.key, value["text"], value["source"]), (b"key%d" % n, text, "s"))
                    self.assertEqual(len(value["vector"]), 384)
                    self.assertAlmostEqual(sum(each * each for each in value["vector"]), 1, places=5)
                    vectors.append(value["vector"])
            self.assertEqual(server.drain(), 0)
            return vectors

    def test_the_reference_embeddings_are_met(self):
        if not os.path.exists(layers.GOLDEN):
            print(f"skipped: {layers.GOLDEN} is missing", file=sys.stderr)
            self.skipTest(f"{layers.GOLDEN} is missing")
        with open(layers.GOLDEN) as file:
            reference = json.load(file)
        for text, wanted, got in zip(reference["texts"], reference["embeddings"], self.embed(reference["texts"])):
            self.assertGreaterEqual(cosine(wanted, got), 0.9999, text[:60])

    def test_golden_cases_hold(self):
        for case in golden(layers.EMBED_TEXT):
            got = cosine(*self.embed(case["texts"]))
            self.assertGreaterEqual(got, case.get("cosineAtLeast", -1), case["name"])
            self.assertLessEqual(got, case.get("cosineAtMost", 1.000001), case["name"])

    def test_a_text_has_one_embedding_whatever_is_in_its_batch(self):
        texts = ["short", "a somewhat longer text about nothing", "x " * 400, "", "短い"]
        for alone, together in zip((self.embed([text])[0] for text in texts), self.embed(texts)):
            self.assertGreaterEqual(cosine(alone, together), 0.999999)

    def test_one_bad_event_does_not_fail_its_batch(self):
        with self.function("main:embed", batch={"maxSize": 16}) as server:
            server.ready()
            kind = {"datacontenttype": "application/json"}
            server.batch([(1, block(b'{"text": "good"}', None, kind)), (2, block(b"{", None, kind)), (3, block(b'{"text": 5}', None, kind)),
                          (4, block(b"plain")), (5, block(None)), (6, block(json.dumps({"text": "x" * 300_000}).encode()[:100_000], None, kind))])
            self.assertEqual(len(server.whole("ITEM_RESULT", 1).value["vector"]), 384)
            self.assertEqual([server.whole("ITEM_RESULT", n).kind for n in range(2, 7)],
                             ["poison", "permanent", "permanent", "permanent", "poison"])

    def test_a_text_over_its_bound_is_rejected_and_one_at_it_is_not(self):
        with self.function("main:embed", batch={"maxSize": 16}) as server:
            server.ready()
            # One after the other: this double of the server blocks when it writes, and an answer is larger than a pipe.
            for stream, size in ((1, 256 * 1024), (2, 256 * 1024 + 1)):
                server.invoke_in_parts(stream, json.dumps({"text": "x" * size}).encode(), pairs={"datacontenttype": "application/json"})
                if stream == 1:
                    self.assertEqual(len(server.result(1).value["vector"]), 384)
            self.assertEqual(server.error(2).kind, "permanent")


class Search(WithLayer):
    def test_it_answers_from_its_table(self):
        texts = {"birds": "Swifts sleep on the wing.", "money": "Interest rates rose by a quarter of a percentage point.",
                 "food": "A man is eating a piece of bread.", "gone": "Swifts are birds that fly all their life."}
        with self.function("main:embed", batch={"maxSize": 16}) as server:
            server.ready()
            server.batch([(n, block(json.dumps({"text": text, "source": key}).encode(), key.encode(), {"datacontenttype": "application/json"}))
                          for n, (key, text) in enumerate(texts.items(), 1)])
            records = [server.whole("ITEM_RESULT", n) for n in range(1, 5)]
        triggers = [{"name": "embeddings", "topic": "embeddings", "table": True}]
        with self.function("search:search", triggers=triggers) as server:
            server.ready()
            for n, record in enumerate(records + records, 1):
                server.invoke(n, record.data, record.key, {"datacontenttype": "application/json"}, TABLE, trigger=0, partition=0, offset=n)
                self.assertIsNone(server.result(n).data)
            server.invoke(20, None, b"gone", (), TABLE, trigger=0, partition=0, offset=20)
            self.assertIsNone(server.result(20).data)
            server.invoke_json(21, {"question": "Which animal rests while flying?", "count": 2})
            answer = server.result(21).value
            self.assertEqual((answer["passages"], len(answer["answers"])), (3, 2))
            self.assertEqual((answer["answers"][0]["key"], answer["answers"][0]["source"]), ("birds", "birds"))
            self.assertGreater(answer["answers"][0]["score"], answer["answers"][1]["score"])
            for n, wrong in enumerate(({}, {"question": " "}, {"question": "x", "count": 0}, {"question": "x", "count": 51}, []), 30):
                server.invoke_json(n, wrong)
                self.assertEqual(server.error(n).kind, "permanent")


if __name__ == "__main__":
    unittest.main()
