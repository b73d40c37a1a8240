"""A pool of threads for `def` handlers with a concurrency above 1. The main thread reads frames and feeds tables."""
import threading
from _queue import SimpleQueue
from posix import pipe, read, write
from select import POLLIN, poll


class ThreadPool:
    """As many threads as the worker has credits, so that no invocation waits behind another."""

    def __init__(self, session, count):
        self.session = session
        self.count = count
        self.jobs = SimpleQueue()
        self.running = {}
        self.lock = threading.Lock()
        self.started = 0
        self.wake_read, self.wake_write = pipe()
        self.is_draining = False

    def turn(self):
        self.session.turn()

    def start(self, job):
        with self.lock:
            for stream in job.all_streams():
                self.running[stream] = job
            if self.started < min(self.count, len(self.running)):
                self.started += 1
                threading.Thread(target=self._work, name=f"apus-{self.started}", daemon=True).start()
        self.jobs.put(job)

    def _work(self):
        while True:
            job = self.jobs.get()
            self.session.perform(job)
            with self.lock:
                for stream in job.all_streams():
                    self.running.pop(stream, None)
                is_last = self.is_draining and not self.running
            if is_last:
                write(self.wake_write, b"\0")

    def cancel(self, stream):
        with self.lock:
            job = self.running.get(stream)
        if job is not None:
            job.context._note_cancelled((stream,))

    def drain(self):
        """Returns when nothing runs. Further frames, such as CANCEL, are handled meanwhile."""
        with self.lock:
            self.is_draining = True
            if not self.running:
                return
        watch = poll()
        watch.register(self.wake_read, POLLIN)
        watch.register(self.session.fd_in, POLLIN)
        while self.session.code is None:
            ready = [descriptor for descriptor, _ in watch.poll()]
            if self.wake_read in ready:
                read(self.wake_read, 1)
                return
            self.session.turn()
