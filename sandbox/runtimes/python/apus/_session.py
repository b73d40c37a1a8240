"""The session of one worker: reads frames, runs the handler, writes replies.

One read brings whatever the pipe holds; all its frames are handled, and their replies go out in one write. Three ways to run
a handler share this: on this thread, one by one (`def`); as coroutines that are driven until they first suspend and only then
given to asyncio (`async def`); on a pool of threads (`def` with a concurrency above 1).
"""
import sys
from _contextvars import copy_context
from _thread import allocate_lock, get_ident
from posix import readv, set_inheritable, write
from time import monotonic

from apus import _wire as wire
from apus._context import Context
from apus._errors import NotAvailable, ProtocolError
from apus._event import Received

_head = wire.HEAD.unpack_from
_block = wire.BLOCK.unpack_from
_result = wire.HEAD_BLOCK.pack
_VERSION, _INVOKE, _RESULT = wire.VERSION, wire.INVOKE, wire.RESULT
_NO_KEY, _PAYLOAD = wire.NO_KEY, wire.PAYLOAD_BYTES
_FLAGS_END, _REPLY_BYTES, _REPLY_DELAY = wire.FLAGS_END, wire.REPLY_BUFFER_BYTES, wire.REPLY_DELAY_SECONDS
_OCTETS = b"\x0f\x00\x18\x00datacontenttypeapplication/octet-stream"
_HELLO_FEATURES = wire.FEATURE_DESCRIPTORS | wire.FEATURE_BATCH | wire.FEATURE_SLEEP | wire.FEATURE_STREAMS
# What a coroutine returns that has sent its result in parts.
_STREAMED = object()
# What a step of a coroutine returns that has suspended.
_PENDING = object()
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x80, 0x20, 0x200


def greeting():
    """The HELLO frame."""
    name = f"python {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}".encode()
    return wire.frame(wire.HELLO, wire.HELLO_HEAD.pack(_VERSION, _VERSION, _HELLO_FEATURES, len(name)) + name)


def prepare_output():
    """What is printed goes out by line, whatever is in it."""
    if sys.stdout is not None and not sys.stdout.line_buffering:
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")


class Job:
    """One call of the handler: its argument, and the streams that wait for an answer."""

    __slots__ = ("argument", "context", "stream", "streams", "is_wrapped", "is_table")

    def __init__(self, argument, context, stream, streams=None, is_wrapped=False, is_table=False):
        self.argument = argument
        self.context = context
        self.stream = stream
        # Of a batch, in the order of its events; None for a single event.
        self.streams = streams
        # A single event for a handler of batches.
        self.is_wrapped = is_wrapped
        self.is_table = is_table

    def all_streams(self):
        return self.streams or (self.stream,)

    def close(self):
        """Its final frame is next: what is left of the handler, a thread or a task, may no longer speak for it."""
        self.context._stream = 0
        if self.streams is not None:
            for item in self.context.items:
                item._stream = 0


class Session:
    def __init__(self, fd_in=3, fd_out=4, fd_ancillary=5, buffer=None):
        self.fd_in = fd_in
        self.fd_out = fd_out
        self.fd_ancillary = fd_ancillary
        self.configuration = {}
        self.triggers = []
        self.handler = None
        self.module = None
        self.concurrency = 1
        self.is_batch = False
        self.is_async = False
        # The exit code, once the session is over.
        self.code = None
        self.loop = None            # AsyncRunner, once asyncio is there
        self.pool = None            # ThreadPool
        self.arrivals = None        # Arrivals: data that comes in DATA frames or by descriptor
        self.hooks_due = []         # frames that run a hook, outside any turn
        self.inputs = {}            # answers to questions of an earlier attempt, by stream, until their handler asks
        self.calls = {}             # calls of tools that wait for their result, by stream and number
        self.cancelled = set()      # streams of CANCEL frames that were seen ahead of their turn
        self._main = get_ident()
        self._lock = allocate_lock()
        self._reading = allocate_lock()     # held by whoever reads ahead while a handler runs
        self._shares_reading = False        # whether threads of a handler may have read
        self._out = []              # replies of this turn
        self._waiting = 0           # about how many bytes they have
        # Of wire.READ_BUFFER_BYTES.
        self._buffer = memoryview(bytearray(wire.READ_BUFFER_BYTES) if buffer is None else buffer)
        self._tail = 0              # bytes in the buffer
        self._missing = 0           # bytes the buffer must hold before a frame is whole
        self._chunk = b""           # the bytes of the frames that this turn handles
        self._at = 0                # the next of them
        self._scanned = 0           # up to where CANCEL was looked for, in the chunk or behind it

    # The session.

    def run(self, rest=None):
        """Greets and speaks until the end; returns the exit code. `rest`: see `speak`."""
        for descriptor in (self.fd_in, self.fd_out, self.fd_ancillary):
            try:
                set_inheritable(descriptor, False)
            except OSError:
                pass  # A server without ancillary data need not give that descriptor.
        try:
            self.send(greeting())
        except BrokenPipeError:
            return 1
        return self.speak(rest)

    def speak(self, rest=None):
        """Speaks until the end, HELLO being sent; returns the exit code. `rest` is called once, when the handler is there."""
        try:
            while self.code is None:
                if rest is not None and self.handler is not None:
                    rest()
                    rest = None
                if self.hooks_due:
                    self._run_hook(self.hooks_due.pop(0))
                elif self.loop is not None and self.is_async:
                    self.loop.run()
                elif self.pool is not None:
                    self.pool.turn()
                else:
                    self.turn()
        except ProtocolError as error:
            print(f"apus: the server broke the worker protocol: {error}", file=sys.stderr, flush=True)
            return 70
        except BrokenPipeError:
            return 1
        return self.code

    def turn(self):
        """One read, and everything whole that came with it."""
        buffer, tail = self._buffer, self._tail
        got = readv(self.fd_in, (buffer[tail:] if tail else buffer,))
        if got == 0:
            self.code = 0 if tail == 0 else 1
            return
        self._tail = tail + got
        self.handle_buffered()

    def handle_buffered(self):
        """Handles the whole frames in the buffer, also those that a handler's own looking brought there."""
        while self._tail >= self._missing and self._tail >= wire.HEAD_BYTES and not self.hooks_due and self.code is None:
            tail = self._tail
            chunk = self._chunk = bytes(self._buffer[:tail])
            self._at = self._scanned = 0
            used = self._handle(chunk, tail)
            if self._shares_reading:
                # A thread that a handler left behind stops reading once its stream is closed; one may be in the middle of it.
                with self._reading:
                    self._shares_reading = False
            rest = self._tail - used
            if rest and used:
                self._buffer[:rest] = bytes(self._buffer[used:self._tail])
            self._tail = rest
            self._at = self._scanned = 0
            self._chunk = b""
            if used == 0:
                break
        if self._out:
            self.flush()

    def _handle(self, chunk, end):
        """Handles the whole frames of a chunk; returns how many bytes they took. The path of every event."""
        handler = self.handler
        is_fast = self._is_fast()
        is_async = self.is_async
        loop = self.loop
        triggers = self.triggers
        since = 0.0
        at = 0
        self._missing = 0
        while end - at >= 24:
            length, kind, flags, version, stream, deadline = _head(chunk, at)
            if version != _VERSION or length > _PAYLOAD or flags >= _FLAGS_END:
                raise ProtocolError(f"a frame of type {kind}, version {version}, flags {flags}, {length} bytes")
            after = at + 24 + length
            if after > end:
                self._missing = 24 + length
                break
            self._at = after
            if kind != _INVOKE or flags or not is_fast:
                if not self.frame(kind, flags, stream, deadline, chunk, at + 24, after):
                    return after
                # INIT, or an import of asyncio, may have changed how the rest is to be run.
                handler = self.handler
                is_fast = self._is_fast()
                is_async = self.is_async
                loop = self.loop
                triggers = self.triggers
                at = after
                continue
            if length < 64:
                raise ProtocolError("an INVOKE without an event")
            _, key, attributes, size, _ = _block(chunk, at + 64)
            attributes_at = at + 88 if key == _NO_KEY else at + 88 + key
            data_at = attributes_at + attributes
            if data_at + size != after:
                raise ProtocolError("an INVOKE whose lengths contradict each other")
            event = Received(chunk, at + 24, attributes_at, data_at, after, None, triggers, False)
            context = Context(self, stream, deadline, event)
            at = after
            since = since or monotonic()
            try:
                result = handler(event, context)
                if not is_async:
                    pass
                elif loop is not None:
                    result = loop.step(Job(event, context, stream), result)
                    if result is _PENDING:
                        continue
                else:
                    variables = copy_context()
                    try:
                        waits_for = variables.run(result.send, None)
                    except StopIteration as stop:
                        result = stop.value
                        # The handler may have imported asyncio by now.
                        loop = self.loop
                    else:
                        self.suspend(Job(event, context, stream), result, waits_for, variables)
                        loop = self.loop
                        continue
                if type(result) is bytes and len(result) < 65000:
                    size = len(result)
                    self._waiting += size
                    context._stream = 0
                    # Only now: what the handler sent may have taken the replies before it along.
                    out = self._out
                    out.append(_result(67 + size, _RESULT, 0, _VERSION, stream, 0, 0, _NO_KEY, 43, size, 0) + _OCTETS)
                    out.append(result)
                else:
                    self.finish(Job(event, context, stream), result)
            except BaseException as error:
                self.fail(Job(event, context, stream), error)
            if self._waiting > _REPLY_BYTES or monotonic() - since > _REPLY_DELAY:
                self.flush()
                since = monotonic()
        return at

    def _is_fast(self):
        """Whether an INVOKE can be run right where it is parsed."""
        return self.handler is not None and not self.is_batch and self.pool is None

    def frame(self, kind, flags, stream, deadline, chunk, at, end):
        """Handles any frame. False: the rest of the chunk waits for a hook or for the end."""
        if kind == wire.CANCEL:
            self.cancelled.discard(stream)
            running = self.loop or self.pool
            if running is not None:
                running.cancel(stream)
        elif kind == wire.PING:
            if not flags & wire.ANSWER:
                self.send(wire.frame(wire.PING, chunk[at:end], stream, wire.ANSWER))
        elif kind == wire.INIT and self.handler is None:
            self._initialize(chunk[at:end])
            return self.code is None
        elif kind in (wire.DRAIN, wire.SLEEP, wire.WAKE):
            self.hooks_due.append(kind)
            return False
        elif kind == wire.BYE:
            self.code = 0
            return False
        elif self.handler is None:
            raise ProtocolError(f"a frame of type {kind} before INIT")
        elif kind == wire.INPUT:
            self._take_input(stream, chunk[at:end])
        elif kind == wire.CALL_RESULT:
            self.take_call_result(flags, stream, chunk[at:end])
        elif kind == wire.INVOKE or kind == wire.BATCH or kind == wire.DATA:
            if self.arrivals is None:
                from apus._arrivals import Arrivals

                self.arrivals = Arrivals(self)
            job = self.arrivals.frame(kind, flags, stream, deadline, chunk, at, end)
            if job is not None:
                self.start(job)
        else:
            raise ProtocolError(f"a frame of type {kind}, which a worker does not receive")
        return True

    def _take_input(self, stream, raw):
        from apus._text import parse

        try:
            self.inputs[stream] = parse(raw)
        except ValueError as error:
            raise ProtocolError(f"INPUT is not JSON: {error}") from None
        # Those of handlers that never asked.
        while len(self.inputs) > wire.INPUTS:
            self.inputs.pop(next(iter(self.inputs)))

    # The handler.

    def _initialize(self, raw):
        import apus._loader as _loader
        from apus._text import parse

        prepare_output()
        try:
            configuration = self.configuration = parse(raw)
            if not isinstance(configuration, dict):
                raise ValueError("it is no object")
        except ValueError as error:
            raise ProtocolError(f"INIT is not JSON: {error}") from None
        if "forks" in configuration and _loader.loaded is None:
            from apus import _forks

            _forks.serve(self, configuration)
        self.triggers = configuration.get("triggers") or []
        self.concurrency = max(1, int(configuration.get("concurrency") or 1))
        self.is_batch = bool(configuration.get("batch"))
        try:
            self.module, handler = _loader.load(configuration)
            flags = _loader.run_code_flags(handler)
            self.is_async = bool(flags & (_COROUTINE | _ASYNC_GENERATOR))
            if self.is_async:
                from apus._async import AsyncRunner

                AsyncRunner.prepare(self)
            elif self.concurrency > 1:
                from apus._threads import ThreadPool

                self.pool = ThreadPool(self, self.concurrency)
            # An async generator is no coroutine: it is driven by one of ours.
            self.handler = self.loop_handler(handler) if flags & _ASYNC_GENERATOR else handler
            self._call_hook("start")
        except _loader.LoadError as error:
            return self._refuse(str(error), error.detail)
        except BaseException as error:
            from apus import _failures

            return self._refuse(f"start() failed: {_failures.describe(error)}", _failures.trace(error))
        # What lets it sleep: both hooks, or a model that went could not come back.
        hooks = [getattr(self.module, name, None) for name in ("sleep", "wake")]
        sleeps = all(callable(hook) and hook is not self.handler for hook in hooks)
        ready = wire.frame(wire.READY, wire.COUNT.pack(wire.ABILITY_SLEEP)) if sleeps else wire.frame(wire.READY)
        self.send(ready + wire.frame(wire.CREDIT, wire.COUNT.pack(self.concurrency)))

    @staticmethod
    def loop_handler(handler):
        async def generate(event, context):
            return handler(event, context)

        return generate

    def _refuse(self, message, detail=""):
        from apus import _failures

        payload = _failures.payload(wire.PERMANENT, "start_failed", message, detail)
        self.send(wire.frame(wire.ERROR, payload))
        self.code = 1

    def _call_hook(self, name):
        hook = getattr(self.module, name, None)
        if not callable(hook) or hook is self.handler:
            return
        result = hook()
        if hasattr(result, "__await__"):
            from apus._async import AsyncRunner

            AsyncRunner.complete(self, result)

    def _run_hook(self, kind):
        """DRAIN, SLEEP and WAKE, when nothing runs on this thread."""
        if kind == wire.DRAIN:
            # A CANCEL behind it is for what the end waits for.
            self.handle_buffered()
            for running in (self.loop, self.pool):
                if running is not None:
                    running.drain()
            if self.code is not None:
                return
        name = {wire.DRAIN: "stop", wire.SLEEP: "sleep", wire.WAKE: "wake"}[kind]
        try:
            self._call_hook(name)
        except BaseException as error:
            from apus import _failures

            print(f"apus: {name}() failed\n{_failures.trace(error)}", file=sys.stderr, flush=True)
            if kind != wire.DRAIN:
                return self._refuse(f"{name}() failed: {_failures.describe(error)}", _failures.trace(error))
        if kind == wire.DRAIN:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            self.send(wire.frame(wire.BYE))
            self.code = 0
        else:
            self.send(wire.frame(kind, flags=wire.ANSWER))
            self.handle_buffered()

    def start(self, job):
        """Runs a job that is not on the path of every event."""
        if self.pool is not None and not job.is_table:
            self.pool.start(job)
        elif self.is_async:
            self.loop_start(job)
        else:
            self.perform(job)

    def loop_start(self, job):
        if self.loop is not None:
            return self.loop.start(job)
        try:
            coroutine = self.handler(job.argument, job.context)
        except BaseException as error:
            return self.fail(job, error)
        self.drive(job, coroutine)

    def drive(self, job, coroutine):
        """Runs a coroutine until it ends or suspends."""
        if self.loop is not None:
            return self.loop.drive(job, coroutine)
        variables = copy_context()
        try:
            waits_for = variables.run(coroutine.send, None)
        except StopIteration as stop:
            return self.finish(job, stop.value)
        except BaseException as error:
            return self.fail(job, error)
        try:
            self.suspend(job, coroutine, waits_for, variables)
        except BaseException as error:
            self.fail(job, error)

    def suspend(self, job, coroutine, waits_for, variables):
        """Gives a coroutine that waits for something to asyncio."""
        if self.loop is None:
            coroutine.close()
            raise RuntimeError("the handler awaited something that is no asyncio future")
        self.loop.adopt(job, coroutine, waits_for, variables)

    def perform(self, job):
        """Calls a plain handler and answers, on whichever thread this is."""
        try:
            self.finish(job, self.handler(job.argument, job.context))
        except BaseException as error:
            self.fail(job, error)

    # Answers.

    def finish(self, job, result):
        """Answers with what the handler returned. What cannot be answered with fails the job."""
        kind = type(result).__name__
        if result is _STREAMED:
            return
        response = None
        if kind == "Response" and job.streams is None and not job.is_wrapped:
            from apus._replies import is_response

            if is_response(result) and result.streams():
                response, result = result, result.body
                kind = type(result).__name__
        if kind == "coroutine" or kind == "async_generator":
            from apus._async import AsyncRunner

            return AsyncRunner.take(self, job, result, response)
        out = []
        try:
            if job.streams is not None:
                self._finish_batch(job, result, out)
            else:
                if job.is_wrapped:
                    from apus._replies import only

                    result = only(result)
                    if isinstance(result, BaseException):
                        raise result
                if kind == "generator" and not job.is_wrapped:
                    return self._finish_stream(job, result, response)
                from apus._replies import append_result

                append_result(out, wire.RESULT, job.stream, result)
        except BaseException as error:
            return self.fail(job, error)
        job.close()
        self.queue(out)

    def _finish_batch(self, job, results, out):
        from apus import _failures
        from apus._replies import append_result, listed

        results = listed(results, len(job.streams))
        for stream, result in zip(job.streams, results):
            mark = len(out)
            try:
                if isinstance(result, BaseException):
                    raise result
                append_result(out, wire.ITEM_RESULT, stream, result)
            except BaseException as error:
                del out[mark:]
                out.append(wire.frame(wire.ITEM_RESULT, _failures.of_handler(error), stream, wire.FAILED))

    def _finish_stream(self, job, parts, response):
        from apus._replies import PartWriter

        writer = PartWriter(self, job.stream, response)
        for part in parts:
            writer.part(part)
            if job.context.cancelled:
                parts.close()
                from apus import _failures

                job.close()
                payload = _failures.payload(wire.RETRYABLE, "cancelled", "the invocation was cancelled")
                return self.queue([wire.frame(wire.ERROR, payload, job.stream)])
        job.close()
        writer.end()

    def fail(self, job, error):
        """Answers with an exception."""
        from apus import _failures

        job.close()
        if type(error).__name__ == "Asked" and type(error).__module__ == "apus._questions":
            from apus import _questions

            try:
                if job.streams is not None or job.is_wrapped:
                    raise NotAvailable("context.ask does not go with batch")
                return self.queue([_questions.frame(job.stream, error.questions)])
            except BaseException as other:
                error = other
        if job.streams is None:
            self.queue([wire.frame(wire.ERROR, _failures.of_handler(error), job.stream)])
        else:
            payload = _failures.of_batch(error)
            self.queue([wire.frame(wire.ITEM_RESULT, payload, stream, wire.FAILED) for stream in job.streams])

    # Writing.

    def queue(self, frames):
        """Frames that may wait for the end of the turn; those of other threads go out at once."""
        if get_ident() == self._main:
            self._out.extend(frames)
            self._waiting += sum(map(len, frames))
            if self._waiting > _REPLY_BYTES:
                self.flush()
        else:
            self._write(b"".join(frames))

    def send(self, frames):
        """Frames that must not wait."""
        if get_ident() == self._main and self._out:
            self.flush()
        self._write(frames)

    def flush(self):
        out, self._out, self._waiting = self._out, [], 0
        if out:
            self._write(b"".join(out))

    def _write(self, raw):
        with self._lock:
            done = write(self.fd_out, raw)
            if done < len(raw):
                rest = memoryview(raw)
                while done < len(raw):
                    done += write(self.fd_out, rest[done:])

    def emit(self, stream, topic, event, emitted):
        """Queues an EMIT; `emitted` counts the events of its attempt and their bytes."""
        from apus._replies import append_block

        key, attributes, data = event._block()
        size = wire.BLOCK_BYTES + len(key or b"") + len(attributes) + len(data or b"")
        if size > wire.EVENT_BYTES:
            raise ValueError(f"the event has {size} bytes; at most {wire.EVENT_BYTES} are allowed")
        if emitted[0] >= wire.EMITS or emitted[1] + size > wire.EMIT_BYTES:
            raise ValueError(f"one attempt may emit at most {wire.EMITS} events of {wire.EMIT_BYTES} bytes together")
        out = []
        append_block(out, wire.EMIT, stream, topic, key, attributes, data, wire.RESULT_BYTES)
        self.queue(out)
        emitted[0] += 1
        emitted[1] += size

    # Looking ahead while a handler runs.

    def look_for_cancel(self, context):
        """Marks the context if a CANCEL for it has come. Never blocks and never runs anything."""
        if get_ident() != self._main:
            return
        from select import POLLIN, poll

        watch = poll()
        watch.register(self.fd_in, POLLIN)
        with self._reading:
            while self._tail < len(self._buffer) and watch.poll(0):
                got = readv(self.fd_in, (self._buffer[self._tail:],))
                if got == 0:
                    break  # The server has gone; the next turn finds it again.
                self._tail += got
                if self.loop is not None and self.is_async:
                    # Descriptor 3 will not be readable again for bytes that are already here.
                    self.loop.again()
            self._scan()
        context._note_cancelled(self.cancelled)

    def _scan(self):
        at = max(self._scanned, self._at)
        while self._tail - at >= wire.HEAD_BYTES:
            length, kind, _, _, stream, _ = _head(self._buffer, at)
            if self._tail - at < wire.HEAD_BYTES + length:
                break
            if kind == wire.CANCEL:
                self.cancelled.add(stream)
            size = wire.HEAD_BYTES + length
            if kind == wire.CALL_RESULT and at >= len(self._chunk):
                # It is for a handler that runs: the turn that would bring it comes after that handler's end.
                raw = bytes(self._buffer[at:at + size])
                rest = self._tail - at - size
                self._buffer[at:at + rest] = bytes(self._buffer[at + size:self._tail])
                self._tail -= size
                self.take_call_result(raw[5], stream, raw[wire.HEAD_BYTES:])
            else:
                at += size
        self._scanned = at

    # Calls of tools.

    def take_call_result(self, flags, stream, raw):
        """CALL_RESULT, or a part of one."""
        if len(raw) < wire.COUNT.size:
            raise ProtocolError("a CALL_RESULT without a number")
        call = self.calls.get((stream, wire.COUNT.unpack_from(raw)[0]))
        # One that nobody waits for is of a handler that went on without it.
        if call is not None:
            call.take(flags, raw[wire.COUNT.size:])

    def wait_for_call(self, call, context):
        """Reads until the result of a call is there: on the thread that runs the handler, which reads nothing else meanwhile, or on
        one that the handler began."""
        from select import POLLIN, poll

        watch = poll()
        watch.register(self.fd_in, POLLIN)
        self._shares_reading = True
        while not call.is_done and call.stream not in self.cancelled:
            # Another thread may take the bytes that this one waits for, so none waits for ever.
            watch.poll(wire.SHARED_WAIT_MILLISECONDS)
            with self._reading:
                if context._stream == 0:
                    return
                while not call.is_done and watch.poll(0):
                    self._read_ahead()
                    self._scan()

    def _read_ahead(self):
        if self._tail == len(self._buffer):
            # What else came waits in the buffer until the handler ends, and the result is behind it.
            larger = memoryview(bytearray(2 * len(self._buffer)))
            larger[:self._tail] = self._buffer
            self._buffer = larger
        got = readv(self.fd_in, (self._buffer[self._tail:],))
        if got == 0:
            raise BrokenPipeError("the server has gone")
        self._tail += got

    def secrets(self):
        if self.arrivals is None:
            from apus._arrivals import Arrivals

            self.arrivals = Arrivals(self)
        return self.arrivals.secrets()
