"""The example in docs/worker-protocol.md is what a worker really says."""
import os
import re
import unittest

from fake_server import FakeServer, encode
from layers import ROOT


class Document(unittest.TestCase):
    def test_the_example_in_bytes_is_true(self):
        with open(os.path.join(ROOT, "docs", "worker-protocol.md"), encoding="utf-8") as file:
            section = file.read().partition("## An example in bytes")[2].partition("## The worker for Python")[0]
        hello, start, invoke, result, bye = (bytes.fromhex(block) for block in re.findall(r"```\n(.*?)```", section, re.DOTALL))
        with FakeServer("def handle(event, context):\n    return {'length': len(event.data)}\n") as server:
            self.assertEqual(encode("HELLO", server.hello.payload)[:34], hello[:34])
            self.assertTrue(hello[34:].startswith(b"python 3."))
            ready, credit = server.expect("READY"), server.expect("CREDIT")
            self.assertEqual(encode("READY") + encode("CREDIT", credit.payload), start)
            self.assertEqual(ready.payload, b"")
            server.write(invoke)
            answer = server.expect("RESULT", 5)
            self.assertEqual(encode("RESULT", answer.payload, 5), result)
            server.send("DRAIN")
            self.assertEqual(encode("BYE", server.expect("BYE").payload), bye)

    def test_every_type_of_frame_is_described_by_its_number(self):
        from fake_server import TYPES

        with open(os.path.join(ROOT, "docs", "worker-protocol.md"), encoding="utf-8") as file:
            text = file.read()
        for name, number in TYPES.items():
            self.assertRegex(text, rf"\| [A-Z_, ]*\b{name}\b[A-Z_, ]* \| [\d, ]*\b{number}\b[\d, ]* \|")


if __name__ == "__main__":
    unittest.main()
