"""Coroutines: driven on the spot until they suspend, and from then on by asyncio.

Most handlers that are `async def` never wait, or not every time. They run as fast as plain ones. asyncio is not even
imported before the function does so itself: without it there is nothing that a coroutine could wait for.
"""
import sys
from _contextvars import copy_context

from apus._session import _PENDING, _STREAMED


class _ImportWatch:
    """Opens the loop in the moment in which the function imports asyncio, however late."""

    def __init__(self, session):
        self.session = session

    def find_spec(self, name, path=None, target=None):
        if name != "asyncio":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _WatchedLoader(spec.loader, self.session)
                return spec
        return None


class _WatchedLoader:
    def __init__(self, loader, session):
        self.loader = loader
        self.session = session

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        AsyncRunner.open(self.session)


class AsyncRunner:
    """The loop of a session: watches descriptor 3 beside everything that coroutines wait for."""

    @staticmethod
    def prepare(session):
        if "asyncio" in sys.modules:
            AsyncRunner.open(session)
        else:
            sys.meta_path.insert(0, _ImportWatch(session))

    @staticmethod
    def open(session):
        if session.loop is None:
            session.loop = AsyncRunner(session)
        return session.loop

    @staticmethod
    def complete(session, awaitable):
        """Runs an asynchronous hook to its end."""
        import asyncio

        runner = AsyncRunner.open(session)

        async def hook():
            return await awaitable

        asyncio._set_running_loop(None)
        runner.loop.run_until_complete(hook())

    @staticmethod
    def take(session, job, result, response=None):
        """A coroutine or async generator that a handler returned."""
        if type(result).__name__ == "async_generator":
            result = _collected(result) if job.streams or job.is_wrapped else _streamed(session, job, result, response)
        if session.is_async:
            return session.drive(job, result)
        import asyncio

        # A plain handler handed out a coroutine: it has this thread to itself.
        session.finish(job, asyncio.run(_awaited(result)))

    def __init__(self, session):
        import asyncio

        self.session = session
        self.asyncio = asyncio
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.is_draining = False
        self.running = {}
        self.tables = []
        self.has_table = False
        self.spare = None
        self.enter = asyncio.tasks._enter_task
        self.leave = asyncio.tasks._leave_task
        self.failure = None
        # A handler that imports asyncio while it runs finds the loop it belongs to.
        asyncio._set_running_loop(self.loop)

    def run(self):
        """Runs until the session ends or a hook is due."""
        self.asyncio._set_running_loop(None)
        if self.session.hooks_due or self.session.code is not None:
            return
        self.loop.add_reader(self.session.fd_in, self._readable)
        try:
            self.loop.run_forever()
        finally:
            self.loop.remove_reader(self.session.fd_in)
        if self.failure is not None:
            raise self.failure

    def again(self):
        self.loop.call_soon(self._readable, True)

    def _readable(self, is_buffered=False):
        session = self.session
        try:
            if is_buffered:
                session.handle_buffered()
            else:
                session.turn()
        except BaseException as error:
            self.failure = error
        if self.is_draining:
            if self.failure is not None or session.code is not None:
                for _, spare in self.running.values():
                    spare.cancel()
        elif self.failure is not None or session.code is not None or session.hooks_due:
            self.loop.stop()

    def start(self, job):
        if job.is_table and self.has_table:
            # Records of a table are taken in one after the other.
            self.tables.append(job)
            return
        try:
            coroutine = self.session.handler(job.argument, job.context)
        except BaseException as error:
            self.session.fail(job, error)
            return
        self.drive(job, coroutine)

    def drive(self, job, coroutine):
        """Runs a coroutine until it ends or suspends, and answers if it ended. Other tasks may be running around it."""
        tasks = self.asyncio.tasks
        outer = tasks.current_task(self.loop)
        if outer is not None:
            tasks._leave_task(self.loop, outer)
        try:
            result = self.step(job, coroutine)
        except BaseException as error:
            self.session.fail(job, error)
        else:
            if result is not _PENDING:
                self.session.finish(job, result)
        finally:
            if outer is not None:
                tasks._enter_task(self.loop, outer)

    def step(self, job, coroutine):
        """The same, inside of what asyncio takes for a task; returns the result or _PENDING."""
        spare = self.spare
        if spare is None:
            spare = self.spare = _Spare(self)
        variables = copy_context()
        self.enter(self.loop, spare.task)
        try:
            waits_for = variables.run(coroutine.send, None)
        except StopIteration as stop:
            return stop.value
        finally:
            self.leave(self.loop, spare.task)
            # Nothing that a finished handler did to its task may reach the next one.
            if spare.task.cancelling():
                self.spare = None
        self.adopt(job, coroutine, waits_for, variables, spare)
        return _PENDING

    def adopt(self, job, coroutine, waits_for, variables, spare=None):
        """Lets asyncio go on with a coroutine that suspended."""
        spare = spare or self.spare or _Spare(self)
        self.spare = None
        for stream in job.all_streams():
            self.running[stream] = (job, spare)
        self.has_table = self.has_table or job.is_table
        spare.give(job, coroutine, waits_for, variables)

    def ended(self, job):
        for stream in job.all_streams():
            self.running.pop(stream, None)
        if job.is_table:
            self.has_table = False
            while self.tables and not self.has_table:
                self.start(self.tables.pop(0))
        # Only turns write by themselves, and this may be the end of a wait.
        if self.session._out:
            self.session.flush()

    def cancel(self, stream):
        job, spare = self.running.get(stream, (None, None))
        if job is not None:
            job.context._note_cancelled((stream,))
            if job.context._is_cancelled:
                spare.cancel()

    def drain(self):
        """Runs until nothing is suspended any more."""
        self.is_draining = True
        while self.running and self.session.code is None:
            waiting = {spare.task for _, spare in self.running.values()}
            self.asyncio._set_running_loop(None)
            self.loop.add_reader(self.session.fd_in, self._readable)
            try:
                self.loop.run_until_complete(self.asyncio.wait(waiting, return_when=self.asyncio.FIRST_COMPLETED))
            finally:
                self.loop.remove_reader(self.session.fd_in)
            if self.failure is not None:
                raise self.failure


class _Spare:
    """A task that is there before its coroutine: what runs now sees it as its own, and if it suspends, gets it."""

    def __init__(self, runner):
        self.runner = runner
        # The variables of the coroutine it will be given.
        self.context = None
        # Of the coroutine that suspended: the job, itself, and what it waits for.
        self.work = None
        self.has_begun = False
        self.is_cancelled = False
        self.is_answered = False
        self.given = runner.loop.create_future()
        self.task = runner.loop.create_task(self._run())

    def give(self, job, coroutine, waits_for, variables):
        self.context = variables
        self.work = (job, coroutine, waits_for)
        if not self.given.done():
            self.given.set_result(None)
        self.task.add_done_callback(self._settle)

    def cancel(self):
        """Cancels what it waits for; a task that has not taken up its coroutine yet would only lose it."""
        if self.has_begun:
            self.task.cancel()
        else:
            self.is_cancelled = True

    async def _run(self):
        await self.given
        self.has_begun = True
        job, coroutine, waits_for = self.work
        session = self.runner.session
        try:
            session.finish(job, await _Continued(coroutine, waits_for, self.context, self.is_cancelled))
        except BaseException as error:
            session.fail(job, error)
        self.is_answered = True
        self.runner.ended(job)

    def _settle(self, task):
        """A handler that cancelled its own task before it first waited never came to `_run`."""
        if not self.is_answered:
            job, coroutine, _ = self.work
            coroutine.close()
            self.runner.session.fail(job, self.runner.asyncio.CancelledError())
            self.runner.ended(job)


class _Continued:
    """Awaits a coroutine that was already driven to its first suspension."""

    def __init__(self, coroutine, waits_for, context, is_cancelled):
        self.coroutine = coroutine
        self.is_cancelled = is_cancelled
        self.waits_for = waits_for
        self.context = context

    def __await__(self):
        waits_for, run = self.waits_for, self.context.run
        if self.is_cancelled and (waits_for is None or not waits_for.cancel()):
            # It waits for nothing that could be cancelled, so it is told itself.
            from asyncio import current_task

            current_task().cancel()
        while True:
            try:
                value = yield waits_for
            except BaseException as error:
                step, value = self.coroutine.throw, error
            else:
                step = self.coroutine.send
            try:
                waits_for = run(step, value)
            except StopIteration as stop:
                return stop.value


async def _awaited(coroutine):
    return await coroutine


async def _collected(parts):
    return [part async for part in parts]


async def _streamed(session, job, parts, response):
    from apus._replies import PartWriter

    writer = PartWriter(session, job.stream, response)
    async for part in parts:
        writer.part(part)
    job.close()
    writer.end()
    return _STREAMED
