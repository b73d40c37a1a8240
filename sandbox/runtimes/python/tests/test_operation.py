"""The runtime http: which request arguments become, and what its answer becomes."""
import http.server
import importlib
import json
import os
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from apus._errors import Reject  # noqa: E402


def load(operation):
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(operation, file)
    os.environ["APUS_HTTP_OPERATION"] = file.name
    try:
        sys.modules.pop("apus._operation", None)
        return importlib.import_module("apus._operation")
    finally:
        os.unlink(file.name)
        del os.environ["APUS_HTTP_OPERATION"]


def parameter(name, place, **more):
    return {"argument": name, "name": name, "in": place, **more}


class Event:
    def __init__(self, data):
        self.data = data


class Context:
    remaining = 10.0

    def secret(self, name):
        return f"s&{name}"


class Requests(unittest.TestCase):
    def request(self, parameters, arguments, url="https://api.example.com/v1/things", **more):
        operation = {"method": "GET", "url": url, "parameters": parameters, **more}
        module = load(operation)
        try:
            return module.request(operation, arguments, Context().secret)
        except module._BadArgument as error:
            return str(error)

    def url(self, parameters, arguments, **more):
        asked = self.request(parameters, arguments, **more)
        return asked if isinstance(asked, str) else asked[0].removeprefix("https://api.example.com/v1/things")

    def test_the_styles_of_a_query(self):
        value, members = ["a b", "c&d"], {"x": 1, "y": "é"}
        for more, given, expected in [
            ({}, "a b", "?q=a%20b"), ({}, True, "?q=true"), ({}, 1.5, "?q=1.5"), ({}, value, "?q=a%20b&q=c%26d"),
            ({"explode": False}, value, "?q=a%20b,c%26d"), ({"style": "spaceDelimited", "explode": False}, value, "?q=a%20b%20c%26d"),
            ({"style": "pipeDelimited", "explode": False}, value, "?q=a%20b%7Cc%26d"), ({}, members, "?x=1&y=%C3%A9"),
            ({"explode": False}, members, "?q=x,1,y,%C3%A9"), ({"style": "deepObject"}, members, "?q%5Bx%5D=1&q%5By%5D=%C3%A9"),
            ({"json": True}, members, "?q=%7B%22x%22%3A1%2C%22y%22%3A%22%5Cu00e9%22%7D"), ({}, [], ""), ({}, None, ""),
        ]:
            self.assertEqual(self.url([parameter("q", "query", **more)], {"q": given}), expected, (more, given))

    def test_the_styles_of_a_path(self):
        url = "https://api.example.com/v1/things/{id}/x"
        for more, given, expected in [
            ({}, "a/b?", "/a%2Fb%3F/x"), ({}, 7, "/7/x"), ({}, ["a", "b"], "/a,b/x"), ({}, {"k": "v"}, "/k,v/x"),
            ({"explode": True}, {"k": "v"}, "/k=v/x"), ({"style": "label"}, "a", "/.a/x"), ({"style": "label", "explode": True}, [1, 2], "/.1.2/x"),
            ({"style": "matrix"}, 5, "/;id=5/x"), ({"style": "matrix", "explode": True}, [1, 2], "/;id=1;id=2/x"),
        ]:
            self.assertEqual(self.url([parameter("id", "path", **more)], {"id": given}, url=url), expected, (more, given))

    def test_a_path_stays_on_its_operation(self):
        for given in ["", None, ".", ".."]:
            asked = self.request([parameter("id", "path")], {"id": given}, url="https://api.example.com/{id}")
            self.assertIsInstance(asked, str, given)

    def test_headers_cookies_and_secrets(self):
        url, headers, body = self.request(
            [parameter("X-Tag", "header"), parameter("session", "cookie"), parameter("n", "query")],
            {"X-Tag": ["a", "b"], "session": "x;y", "n": 1}, secrets=[{"secret": "KEY", "in": "query", "name": "key"}])
        self.assertEqual(headers["X-Tag"], b"a,b")
        self.assertEqual(headers["Cookie"], "session=x%3By")
        self.assertTrue(url.endswith("?n=1&key=s%26KEY"), url)
        self.assertIsNone(body)
        self.assertIn("control characters", self.request([parameter("X", "header")], {"X": "a\r\nHost: b"}))

    def test_bodies(self):
        def body(kind, value):
            _, headers, data = self.request([], {"body": value}, body={"argument": "body", "contentType": kind})
            self.assertEqual(headers["Content-Type"], kind)
            return data

        self.assertEqual(body("application/json", {"é": [1]}), '{"é":[1]}'.encode())
        self.assertEqual(body("application/x-www-form-urlencoded", {"a": "x y", "b": [1, 2], "c": None}), b"a=x%20y&b=1&b=2")
        self.assertEqual(body("text/plain", "hello"), b"hello")


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, kind, answer = cls.answer
                if callable(answer):
                    answer = answer(self.path, self.headers, body)
                self.send_response(status)
                if kind:
                    self.send_header("Content-Type", kind)
                self.send_header("Location", "http://elsewhere.example/")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        cls.server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def call(self, status, kind, answer, arguments=None):
        type(self).answer = (status, kind, answer)
        module = load({"method": "POST", "url": "https://api.example.com/v1/{id}", "parameters": [parameter("id", "path")],
                       "body": {"argument": "body", "contentType": "application/json"}})
        module.PROXY = ("127.0.0.1", self.server.server_port)
        return module.call(Event({"id": "a", "body": {"x": 1}} if arguments is None else arguments), Context())

    def test_the_proxy_is_asked_for_the_whole_url(self):
        seen = self.call(200, "application/json", lambda path, headers, body: json.dumps([path, headers["Host"], body]).encode())
        self.assertEqual(seen, ["https://api.example.com/v1/a", "api.example.com", '{"x":1}'])

    def test_answers_by_their_kind(self):
        self.assertEqual(self.call(200, "application/problem+json", b'{"a": 1}'), {"a": 1})
        self.assertEqual(self.call(200, "text/plain; charset=latin-1", b"\xe9"), "é")
        self.assertIsNone(self.call(204, None, b""))
        image = self.call(200, "image/png", b"\x89PNG")
        self.assertEqual((image.data, image.datacontenttype), (b"\x89PNG", "image/png"))

    def test_errors_say_what_the_api_says(self):
        with self.assertRaisesRegex(Reject, "404 Not Found: no such pet"):
            self.call(404, "text/plain", b"no such pet")
        with self.assertRaisesRegex(Reject, "points to http://elsewhere.example/"):
            self.call(302, None, b"")
        with self.assertRaisesRegex(RuntimeError, "503 Service Unavailable"):
            self.call(503, None, b"")
        with self.assertRaisesRegex(RuntimeError, "JSON that cannot be read"):
            self.call(200, "application/json", b"{")
        with self.assertRaisesRegex(Reject, "is empty, but part of the path"):
            self.call(200, None, b"", {"body": {}})

    def test_an_answer_is_bounded(self):
        module = load({"method": "GET", "url": "https://api.example.com/"})
        self.assertEqual(module.ANSWER_BYTES_MAX, 15 * 1024 * 1024)
        with self.assertRaisesRegex(Reject, "answered more than"):
            self.call(200, "text/plain", b"x" * (module.ANSWER_BYTES_MAX + 1))


if __name__ == "__main__":
    unittest.main()
