"""What agents are given and asked: parts of results, questions and their answers."""
import unittest

from apus import _content, _questions, _replies
import apus


class FakeContext:
    def __init__(self, answers=None):
        self._given = answers or {}

    def _answers(self):
        return self._given


class ContentTests(unittest.TestCase):
    def test_parts_become_blocks(self):
        _, attributes, data = _replies.block_of([apus.Text("a"), apus.Image(b"\x89PNG", "image/png", audience="user")])
        self.assertIn(b"application/vnd.apus.content+json", attributes)
        self.assertEqual(
            data,
            b'{"content":[{"type":"text","text":"a"},'
            b'{"type":"image","data":"iVBORw==","mimeType":"image/png","annotations":{"audience":["user"]}}]}')

    def test_a_result_holds_structure_and_failure(self):
        data = _content.payload_of(apus.Result("none", {"count": 0}, error=True))
        self.assertEqual(
            data, b'{"content":[{"type":"text","text":"none"}],"structuredContent":{"count":0},"isError":true}')

    def test_plain_lists_stay_json(self):
        self.assertIsNone(_content.payload_of([1, 2]))
        self.assertIsNone(_content.payload_of([]))
        self.assertEqual(_replies.block_of(["a"])[2], b'["a"]')

    def test_what_is_no_part_is_told(self):
        with self.assertRaises(TypeError):
            _content.payload_of([apus.Text("a"), 7])
        with self.assertRaises(ValueError):
            apus.Message("system", "a")


class QuestionTests(unittest.TestCase):
    SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}, "required": ["name"]}

    def test_the_first_call_asks_and_the_second_has_the_answer(self):
        with self.assertRaises(_questions.Asked) as asked:
            _questions.ask(FakeContext(), self.SCHEMA, "Who?")
        self.assertEqual(
            asked.exception.questions,
            {"question1": {"method": "elicitation/create",
                           "params": {"mode": "form", "message": "Who?", "requestedSchema": self.SCHEMA}}})
        given = FakeContext({"question1": {"action": "accept", "content": {"name": "Ada"}}})
        self.assertEqual(_questions.ask(given, self.SCHEMA, "Who?"), {"name": "Ada"})

    def test_an_answer_that_does_not_fit_is_asked_for_again(self):
        for content in ({}, {"name": 7}, {"name": ""}, []):
            given = FakeContext({"question1": {"action": "accept", "content": content}})
            with self.assertRaises(_questions.Asked):
                _questions.ask(given, self.SCHEMA, "Who?")

    def test_who_declines_is_told_apart(self):
        with self.assertRaises(apus.Declined):
            _questions.ask(FakeContext({"question1": {"action": "decline"}}), self.SCHEMA, "Who?")
        answers = _questions.ask(FakeContext({"a": {"action": "cancel"}}), {"a": apus.Form(self.SCHEMA, "Who?")}, None)
        self.assertFalse(answers["a"].accepted)

    def test_several_are_asked_at_once_and_only_what_is_missing(self):
        questions = {"a": apus.Form(self.SCHEMA, "Who?"), "b": apus.Sample("Say hi"), "c": apus.Roots()}
        given = FakeContext({"b": {"role": "assistant", "content": {"type": "text", "text": "hi"}}})
        with self.assertRaises(_questions.Asked) as asked:
            _questions.ask(given, questions, None)
        self.assertEqual(sorted(asked.exception.questions), ["a", "c"])

    def test_choices_and_bounds_hold(self):
        schema = {"type": "object", "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 3}, "s": {"type": "string", "enum": ["x", "y"]},
            "m": {"type": "array", "items": {"enum": ["p", "q"]}, "maxItems": 1}, "b": {"type": "boolean"}}}
        for good in ({"n": 3}, {"s": "x"}, {"m": ["p"]}, {"b": True}, {}):
            self.assertTrue(_questions.fits(good, schema), good)
        for bad in ({"n": 4}, {"n": True}, {"n": 1.5}, {"s": "z"}, {"m": ["r"]}, {"m": ["p", "q"]}, {"b": 1}):
            self.assertFalse(_questions.fits(bad, schema), bad)
