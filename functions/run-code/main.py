"""Runs a script that calls tools. What the sandbox does not allow, the script may not; whom the caller may not call, it may not."""
import ast
import contextlib
import io
import traceback

import apus

PRINTED_CHARACTERS = 64 * 1024
NAME = "<script>"


class Output(io.TextIOBase):
    """Keeps the beginning of what is printed."""

    def __init__(self):
        self.parts, self.left = [], PRINTED_CHARACTERS

    def writable(self):
        return True

    def write(self, text):
        if self.left > 0:
            self.parts.append(text[:self.left])
            self.left -= len(text)
        return len(text)

    @property
    def text(self):
        return "".join(self.parts) + ("\n(more was printed than is kept)" if self.left < 0 else "")


def compiled(code):
    """The statements, and the last expression where the script ends with one."""
    tree = ast.parse(code, NAME)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), NAME, "eval")
    return compile(tree, NAME, "exec"), last


def told(error):
    """An exception as whoever wrote the script reads it: with its own lines, without ours."""
    frames = [f"line {frame.lineno}, in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename == NAME]
    return "\n".join([f"{type(error).__name__}: {error}", *reversed(frames)])


def run(event, context):
    calls = 0

    def call(tool, arguments=None, /, **named):
        nonlocal calls
        calls += 1
        return context.call(tool, arguments, **named)

    try:
        body, last = compiled(event.data["code"])
    except (SyntaxError, ValueError) as error:
        raise apus.Reject(f"The script cannot be read: {error}") from None
    names = {"__name__": "__main__", "call": call, "CallFailed": apus.CallFailed, "data": event.data.get("data")}
    output = Output()
    try:
        with contextlib.redirect_stdout(output):
            exec(body, names)
            result = eval(last, names) if last is not None else names.get("result")
    except (Exception, SystemExit) as error:
        printed = f"\nprinted:\n{output.text}" if output.text else ""
        raise apus.Reject(f"The script failed after {calls} calls: {told(error)}{printed}") from None
    return {"result": result, "printed": output.text, "calls": calls}
