"""What a handler is told about its invocation, and what it may ask of the platform while it runs."""
from apus import _wire as wire
from apus._errors import NotAvailable


class Context:
    """One attempt. `invocation` is the same for every attempt of one delivery, `attempt` counts from 1."""

    __slots__ = ("_session", "_stream", "_deadline", "_event", "_log", "_emitted", "_is_cancelled", "_asks", "_given", "_calls")

    def __init__(self, session, stream, deadline, event):
        self._session = session
        # 0 once the attempt is answered: nothing may be said on its stream any more.
        self._stream = stream
        self._deadline = deadline
        self._event = event
        self._log = None
        self._emitted = None
        self._is_cancelled = False

    @property
    def invocation(self):
        """32 hexadecimal digits."""
        event = self._event
        if event is None:
            return None
        place = event._place()
        return f"{place[5]:016x}{place[6]:016x}"

    @property
    def attempt(self):
        return 0 if self._event is None else self._event._place()[0]

    @property
    def deadline(self):
        """A datetime in UTC, None for none. See `remaining` for seconds."""
        if self._deadline == 0:
            return None
        from _datetime import datetime, timedelta, timezone

        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=self._deadline)

    @property
    def remaining(self):
        """Seconds until the deadline, never negative; infinite without one."""
        if self._deadline == 0:
            return float("inf")
        from time import time

        return max(0.0, self._deadline / 1e6 - time())

    @property
    def trace(self):
        """The W3C traceparent of this attempt, where its trace is recorded; else the one that came with the event, or None."""
        if self._event is None:
            return None
        # The header is the last hop. The attribute says where the trace began, and is the producer's.
        for name, value in self._event.headers:
            if name == "traceparent":
                return str(value, "ascii", "replace")
        return self._event.get("traceparent")

    @property
    def function(self):
        return self._session.configuration.get("function")

    @property
    def cancelled(self):
        """Whether the platform no longer wants the result: the deadline is near, or the caller has left."""
        if not self._is_cancelled:
            self._session.look_for_cancel(self)
        return self._is_cancelled

    def _note_cancelled(self, streams):
        if self._stream in streams:
            self._is_cancelled = True

    @property
    def log(self):
        log = self._log
        if log is None:
            log = self._log = Log(self)
        return log

    def progress(self, done, total=None, message=""):
        """Reports how far the work is. `total` None or 0: unknown."""
        done, total = int(done), int(total or 0)
        if not (0 <= done < 1 << 64 and 0 <= total < 1 << 64):
            raise ValueError(f"progress({done}, {total}): expected numbers from 0")
        stream = self._open_stream()
        payload = wire.PROGRESS_HEAD.pack(done, total) + wire.clip(message, wire.MESSAGE_BYTES)
        self._session.send(wire.frame(wire.PROGRESS, payload, stream))
        self._session.look_for_cancel(self)

    def emit(self, topic, data=None, *, key=None, **attributes):
        """Publishes an event when, and only when, this attempt succeeds, in one with its reply.

        `topic` is one of the function's `emits` or a `replyTo`. `data` may be an `apus.Event`.
        """
        from apus._event import Event

        if isinstance(data, Event):
            if key is not None or attributes:
                raise TypeError("emit(topic, event): give key and attributes to the event itself")
            event = data
        else:
            extensions = attributes.pop("attributes", None)
            event = Event(data, key=key, attributes={**(extensions or {}), **attributes})
        if not isinstance(topic, str) or not 0 < len(topic.encode("utf-8")) <= wire.TOPIC_BYTES:
            raise ValueError(f"emit({topic!r}, ...): expected the name of a topic")
        name = topic.encode("utf-8")
        if self._emitted is None:
            # How many events, and their bytes.
            self._emitted = [0, 0]
        self._session.emit(self._open_stream(), wire.STREAM_NAME.pack(len(name)) + name, event, self._emitted)
        self._session.look_for_cancel(self)

    def _open_stream(self):
        if self._stream == 0:
            raise NotAvailable("the invocation has been answered: emit and report progress before the handler returns")
        return self._stream

    def secret(self, name):
        """The text of a secret that the manifest lists under `secrets`."""
        secrets = self._session.secrets()
        if name not in secrets:
            known = ", ".join(sorted(secrets)) or "none"
            raise NotAvailable(
                f"the secret '{name}' was not given to this function (given: {known}): "
                "list it under spec.secrets and set it with `apus secret set`")
        return secrets[name]

    def ask(self, question, message=None):
        """Asks whoever called: `ask(schema, message)` returns what was filled in, and raises `apus.Declined` where it was not;
        `ask({name: apus.Form | apus.Url | apus.Sample | apus.Roots})` returns an answer for each.

        The first time this does not return: the worker is let go, and the handler is called again, from its beginning, with all
        answers so far. So ask before anything is done that must not be done twice.
        """
        from apus._questions import ask

        self._open_stream()
        return ask(self, question, message)

    def call(self, tool, arguments=None, /, **named):
        """Calls a tool with the rights of whoever called this one: `context.call("get_order", {"id": 7})` or `call("get_order", id=7)`.

        Returns its structured content, else its text, else the list of its parts. Raises `apus.CallFailed` where the tool failed,
        refused, or may not be called. In an `async def` handler: `await context.call(...)`.
        """
        from apus._calls import call

        return call(self, tool, arguments, named)

    def _answers(self):
        given = getattr(self, "_given", None)
        if given is None:
            given = self._given = self._session.inputs.pop(self._stream, None) or {}
        return given

    @property
    def capabilities(self):
        """What the caller's client can be asked for: of `elicitation`, `elicitation.url`, `sampling`, `sampling.tools`, `roots`."""
        return frozenset(self._header("apus-capabilities").split())

    @property
    def caller(self):
        """The name of the principal that called the tool; empty for what is no call of a tool."""
        return self._header("apus-caller")

    def _header(self, wanted):
        if self._event is None:
            return ""
        return next((str(value, "utf-8", "replace") for name, value in self._event.headers if name == wanted), "")


class BatchContext(Context):
    """The context of a batch. It has one deadline, the earliest; `items` has a context for each event."""

    __slots__ = ("items",)

    def __init__(self, session, items, deadline):
        super().__init__(session, items[0]._stream, deadline, items[0]._event)
        self.items = items

    def _note_cancelled(self, streams):
        for item in self.items:
            item._note_cancelled(streams)
        self._is_cancelled = all(item._is_cancelled for item in self.items)

    def emit(self, *_, **__):
        raise NotAvailable("an emitted event belongs to one event of the batch: use context.items[n].emit(...)")

    def call(self, *_, **__):
        raise NotAvailable("a call belongs to one event of the batch: use context.items[n].call(...)")


class Log:
    """Lines of the function's log, attributed to the attempt: `context.log.info("took %d rows", n)`."""

    __slots__ = ("_context",)

    def __init__(self, context):
        self._context = context

    def _write(self, level, message, arguments):
        text = str(message) % arguments if arguments else str(message)
        payload = bytes((level,)) + wire.clip(text, wire.LOG_BYTES)
        self._context._session.send(wire.frame(wire.LOG, payload, self._context._stream))

    def debug(self, message, *arguments):
        self._write(0, message, arguments)

    def info(self, message, *arguments):
        self._write(1, message, arguments)

    def warning(self, message, *arguments):
        self._write(2, message, arguments)

    def error(self, message, *arguments):
        self._write(3, message, arguments)

    def exception(self, message, *arguments):
        """`error` with the exception that is being handled."""
        from sys import exc_info
        from apus._failures import trace

        text = str(message) % arguments if arguments else str(message)
        self._write(3, f"{text}\n{trace(exc_info()[1])}", ())
