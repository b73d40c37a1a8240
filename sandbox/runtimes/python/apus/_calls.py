"""Calls of other tools by a handler that runs."""
from _thread import get_ident

from apus import _wire as wire


class CallFailed(Exception):
    """Raised by `context.call`. `tool` is its name; `code` says why: `tool_failed` where the tool itself says so in `result`, `cancelled`
    where nobody waits any more, `limit_reached`, `invalid_argument` for a tool that there is not, and others."""

    def __init__(self, tool, code, message, result=None):
        super().__init__(f"{tool}: {message}")
        self.tool, self.code, self.message, self.result = tool, code, message, result


class _Call:
    """One call until its result is there. `wake` is called then, on the thread that reads."""

    __slots__ = ("stream", "parts", "is_done", "is_failed", "wake")

    def __init__(self, stream, wake=None):
        self.stream = stream
        self.parts = []
        self.is_done = self.is_failed = False
        self.wake = wake

    def take(self, flags, raw):
        self.parts.append(raw)
        if flags & wire.MORE:
            return
        self.is_failed = bool(flags & wire.FAILED)
        self.is_done = True
        if self.wake is not None:
            self.wake()


def call(context, tool, arguments, named):
    """See `Context.call`."""
    from apus._text import encoded

    if not isinstance(tool, str):
        raise TypeError(f"call({tool!r}): expected the name of a tool")
    if arguments is not None and not isinstance(arguments, dict):
        raise TypeError(f"call({tool!r}): arguments are a dict, not {type(arguments).__name__}")
    payload = encoded({"name": tool, "arguments": {**(arguments or {}), **named}})
    if len(payload) > wire.CALL_BYTES:
        raise ValueError(f"call({tool!r}): the arguments have {len(payload)} bytes; at most {wire.CALL_BYTES} are taken")
    session, stream = context._session, context._open_stream()
    number = context._calls = getattr(context, "_calls", 0) + 1
    place = (stream, number)
    frame = wire.frame(wire.CALL, wire.COUNT.pack(number) + payload, stream)
    if session.is_async:
        return _awaited(session, tool, place, frame)
    if session.pool is not None and get_ident() != session._main:
        return _on_thread(context, tool, place, frame)
    waiting = session.calls[place] = _Call(stream)
    try:
        session.send(frame)
        session.wait_for_call(waiting, context)
        if not waiting.is_done:
            context._note_cancelled(session.cancelled)
    finally:
        del session.calls[place]
    return _value(tool, waiting)


def _on_thread(context, tool, place, frame):
    """The main thread reads; this one waits, and looks now and then whether it is still to."""
    from threading import Event

    done = Event()
    session = context._session
    waiting = session.calls[place] = _Call(place[0], done.set)
    try:
        session.send(frame)
        while not done.wait(wire.CANCEL_LOOK_SECONDS):
            if context._is_cancelled:
                break
    finally:
        del session.calls[place]
    return _value(tool, waiting)


async def _awaited(session, tool, place, frame):
    from asyncio import get_running_loop

    loop = get_running_loop()
    done = loop.create_future()
    waiting = session.calls[place] = _Call(place[0], lambda: done.done() or done.set_result(None))
    try:
        session.send(frame)
        await done
    finally:
        del session.calls[place]
    return _value(tool, waiting)


def _value(tool, waiting):
    """What a result is to the handler."""
    if not waiting.is_done:
        raise CallFailed(tool, "cancelled", "nobody waits for this invocation any more")
    raw = b"".join(waiting.parts)
    if waiting.is_failed:
        from apus._failures import read

        code, message = read(raw)
        raise CallFailed(tool, code, message)
    from apus._text import parse

    result = parse(raw)
    content = result.get("content") or []
    texts = [part["text"] for part in content if part.get("type") == "text"]
    if result.get("isError"):
        raise CallFailed(tool, "tool_failed", "\n".join(texts) or "the tool failed", result)
    if "structuredContent" in result:
        return result["structuredContent"]
    return "\n".join(texts) if len(texts) == len(content) else content
