"""What a handler sees of the request of an HTTP trigger, and how it chooses the answer's status and headers."""
import json
import unittest

from fake_server import FakeServer


def header(text):
    return (128, text.encode() if isinstance(text, str) else text)


REQUEST = [("id", "1"), ("type", "dev.apus.http.request"), ("datacontenttype", "application/json"),
           ("apus-http-method", header("POST")), ("apus-http-path", header("/embed/é 7")),
           ("apus-http-param-id", header("é 7")), ("apus-http-query", header("a=1&b=x%20y+z&a=%C3%A9&flag&=odd")),
           ("accept", header("text/html")), ("x-tag", header("one")), ("x-tag", header("two"))]


class Answers:
    def __init__(self, server, stream):
        frame = server.expect("RESULT", stream)
        self.frame = frame
        # The double reads attributes into a dict; a header may come twice, so this looks at the bytes itself.
        raw, self.headers, self.type = frame.payload, [], None
        length = int.from_bytes(raw[12:16], "little")
        at, end = 24, 24 + length
        while at < end:
            name, kind, size = raw[at], raw[at + 1], int.from_bytes(raw[at + 2:at + 4], "little")
            text, value = raw[at + 4:at + 4 + name].decode(), raw[at + 4 + name:at + 4 + name + size]
            at += 4 + name + size
            if kind == 128:
                self.headers.append((text, value.decode("latin-1")))
            elif text == "datacontenttype":
                self.type = value.decode()
        self.data = None if raw[20] & 1 else raw[end:]
        flags = frame.flags
        self.parts = []
        while flags & 1:
            more = server.expect("DATA", stream)
            self.parts.append(more.payload)
            flags = more.flags


def run(body, pairs=REQUEST, data=b"{}", prefix="def"):
    code = "import apus\n" + f"{prefix} handle(event, context):\n" + "\n".join("    " + line for line in body.split("\n")) + "\n"
    server = FakeServer(code).ready()
    server.invoke(3, data, None, pairs)
    return server


class Requests(unittest.TestCase):
    def see(self, expression, pairs=REQUEST):
        with run(f"return {expression}", pairs) as server:
            return server.result(3).value

    def test_it_is_described_by_what_the_trigger_took(self):
        self.assertEqual(self.see("[event.http.method, event.http.path, event.http.params]"), ["POST", "/embed/é 7", {"id": "é 7"}])
        self.assertEqual(self.see("event.data"), {})

    def test_a_query_is_decoded_once_and_may_say_a_name_twice(self):
        self.assertEqual(self.see("event.http.query"), {"a": "1", "b": "x y z", "flag": "", "": "odd"})
        self.assertEqual(self.see("[event.http.query.all('a'), event.http.query.all('none')]"), [["1", "é"], []])

    def test_headers_are_found_in_any_case(self):
        self.assertEqual(self.see("[event.http.headers['Accept'], event.http.headers.get('x-none', 7), 'X-Tag' in event.http.headers, "
                                  "event.http.headers.all('X-TAG')]"), ["text/html", 7, True, ["one", "two"]])
        self.assertEqual(self.see("sorted(event.http.headers)"), ["accept", "x-tag"])

    def test_other_events_have_no_request(self):
        self.assertIsNone(self.see("event.http", [("id", "1")]))
        self.assertIsNone(self.see("apus.Event(1).http"))


class Responses(unittest.TestCase):
    def answer(self, expression, prefix="def"):
        with run(f"return {expression}", prefix=prefix) as server:
            return Answers(server, 3)

    def test_status_and_headers_travel_beside_the_body(self):
        answer = self.answer("apus.Response({'a': 1}, status=201, headers={'X-One': 'a', 'Location': '/x'})")
        self.assertEqual(json.loads(answer.data), {"a": 1})
        self.assertEqual(answer.type, "application/json")
        self.assertEqual(answer.headers, [("apus-http-status", "201"), ("x-one", "a"), ("location", "/x")])

    def test_a_header_may_come_twice(self):
        answer = self.answer("apus.Response(b'x', headers=[('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')])")
        self.assertEqual(answer.headers[1:], [("set-cookie", "a=1"), ("set-cookie", "b=2")])

    def test_the_body_decides_the_type_that_no_header_says(self):
        for body, kind, data in (("'hé'", "text/plain; charset=utf-8", "hé".encode()), ("b'x'", "application/octet-stream", b"x"),
                                 ("[1]", "application/json", b"[1]"), ("None", None, None)):
            answer = self.answer(f"apus.Response({body})")
            self.assertEqual((answer.type, answer.data), (kind, data), body)
        answer = self.answer("apus.Response('<p>', headers={'content-type': 'text/html'})")
        self.assertEqual((answer.type, answer.data, answer.headers), ("text/html", b"<p>", [("apus-http-status", "200")]))
        self.assertEqual(self.answer("apus.Response()").headers, [("apus-http-status", "204")])
        self.assertEqual(self.answer("apus.Response('x', headers={'content-type': 'application/json'})").data, b'"x"')

    def test_a_generator_is_streamed_with_them(self):
        for prefix in ("def", "async def"):
            answer = self.answer("apus.Response((each for each in ('a', 'é')), status=203, headers={'Content-Type': 'text/csv'})", prefix)
            self.assertEqual((answer.type, answer.parts), ("text/csv", ["a".encode(), "é".encode(), b""]))
            self.assertEqual(answer.headers, [("apus-http-status", "203")])
        answer = self.answer("apus.Response(({'n': n} for n in range(2)), status=202)")
        self.assertEqual((answer.type, answer.parts), ("application/x-ndjson", [b'{"n":0}\n', b'{"n":1}\n', b""]))
        answer = self.answer("apus.Response((n for n in ()), status=202)")
        self.assertEqual((answer.headers, answer.data), ([("apus-http-status", "202")], b""))

    def test_an_async_generator_is_streamed_with_them(self):
        with run("async def parts():\n    yield b'x'\nreturn apus.Response(parts(), status=299)", prefix="async def") as server:
            answer = Answers(server, 3)
        self.assertEqual((answer.headers, answer.parts), ([("apus-http-status", "299")], [b"x", b""]))

    def test_what_no_answer_can_say_fails_with_what_is_wrong(self):
        for expression, expected in (("apus.Response(1, status=100)", "200 to 599"), ("apus.Response(1, status='200')", "200 to 599"),
                                     ("apus.Response(1, headers={'a b': 'x'})", "no name of a header"),
                                     ("apus.Response(1, headers={'a': 'x\\ny'})", "no header may hold"),
                                     ("apus.Response(1, headers={'a': '€'})", "no header may hold"),
                                     ("apus.Response(1, headers={'Apus-Http-Status': '7'})", "platform"),
                                     ("apus.Response({}, headers={'content-type': 'text/html'})", "bytes or str")):
            with run(f"return {expression}") as server:
                self.assertIn(expected, server.error(3).message)


if __name__ == "__main__":
    unittest.main()
