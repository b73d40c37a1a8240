"""The zygote of one function: loads it once, then forks a process for each of its calls.

It runs in a sandbox like any worker's, knows no secret and no event, and speaks with the server in four frames of its own
(docs/worker-protocol.md). Each process that it forks has descriptors, a folder and Landlock rules of its own before anything of
its call is there (sandbox/zygote/call.c), handles one call, and is killed. `start()` runs in each of them, never here.
"""
import os
import sys
from select import POLLIN, poll

from apus import _loader, _wire as wire
from apus._errors import ProtocolError

FOLDER_BYTES = 16
# Entries of a folder that are removed before frames are looked at again.
REMOVED_PER_TURN = 512
READ_ONLY = ("/usr/", "/lib/", "/lib64/", "/layer/", "/function/", "/weights/", "/runtime/", "/etc/")
CALL_FILTER = 6
# Set while the function is loaded: one thread only can be forked.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
              "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS")


class CannotFork(Exception):
    """Why calls of this function do not share a sandbox."""


class Call:
    __slots__ = ("number", "process", "pidfd", "proc", "folder")

    def __init__(self, number, process, pidfd, proc, folder):
        self.number = number
        self.process = process
        self.pidfd = pidfd
        # Its directory of /proc, kept so that the rule of Landlock that names its inode stays true.
        self.proc = proc
        self.folder = folder


def prepare():
    """Before the function is loaded: the library, and what libraries are told about threads."""
    import ctypes

    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    runtime = __file__.rpartition("/apus/")[0]
    library = ctypes.PyDLL(runtime + "/libapus-zygote.so")
    library.apus_call_confine.argtypes = (ctypes.POINTER(ctypes.c_int), ctypes.c_char_p, ctypes.c_uint64)
    error = library.apus_call_prepare(CALL_FILTER)
    if error:
        raise CannotFork(f"calls cannot be kept apart here: {os.strerror(error)}")
    return library, (ctypes.c_int * 5)


class Forks:
    def __init__(self, session, options, library):
        self.session = session
        self.children_max = int(options["children"])
        self.library, self.descriptors_type = library
        self.calls = {}         # by number
        self.ended = {}         # pidfd to call
        self.to_remove = []     # folders of calls that are over
        self.socket = None
        self.waiting = bytearray()
        self.poll = poll()
        self.poll.register(session.fd_in, POLLIN)
        # Descriptors of calls that were received ahead of their frames.
        self.received = {}
        self.trash = 0
        self.data_bytes = int(options["memory"])

    # Whether it can be done at all.

    def check(self):
        """Whatever a call would share with the next, beyond what it was loaded with."""
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise CannotFork(f"importing it started {threads - 1} threads")
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
        else:
            raise CannotFork("importing it started a process")
        for name in os.listdir("/proc/self/fd"):
            if int(name) > self.session.fd_ancillary and os.path.exists(f"/proc/self/fd/{name}"):
                raise CannotFork(f"importing it left a file open: {os.readlink(f'/proc/self/fd/{name}')}")
        with open("/proc/self/maps") as maps:
            for line in maps:
                parts = line.split(None, 5)
                path = parts[5].strip() if len(parts) == 6 else "memory without a name"
                if parts[1][3] == "s" and (parts[1][1] == "w" or not path.startswith(READ_ONLY)):
                    raise CannotFork(f"importing it left memory that processes share: {path}")

    def settle(self):
        """What is there now stays: looking at it would only copy pages."""
        import gc

        with open("/proc/self/statm") as statm:
            self.data_bytes += int(statm.read().split()[5]) * os.sysconf("SC_PAGESIZE")
        gc.collect()
        gc.freeze()

    # Serving.

    def run(self):
        """Serves the server's orders; returns in each call's process, confined. Leaves the zygote by `os._exit`."""
        while True:
            for descriptor, _ in self.poll.poll(0 if self.to_remove else None):
                if descriptor == self.session.fd_in:
                    if self.read():
                        return
                else:
                    call = self.ended.get(descriptor)
                    if call is not None:
                        self.reap(call)
            self.remove_some()

    def read(self):
        """True in a call's process."""
        raw = os.read(self.session.fd_in, wire.FRAME_BYTES)
        if not raw:
            os._exit(0)
        self.waiting += raw
        while len(self.waiting) >= wire.HEAD_BYTES:
            length, kind, flags, version, stream, _ = wire.HEAD.unpack_from(self.waiting)
            if version != wire.VERSION or flags or length or stream == 0 or kind not in (wire.FORK, wire.KILL):
                raise ProtocolError(f"a frame of type {kind}, flags {flags}, {length} bytes, which a zygote does not receive")
            del self.waiting[:wire.HEAD_BYTES]
            if kind == wire.KILL:
                self.kill(stream)
            elif self.fork(stream):
                return True
        return False

    def say(self, kind, stream, payload=b""):
        self.session.send(wire.frame(kind, payload, stream))

    def end(self, number, code, signal):
        self.say(wire.ENDED, number, wire.ENDED_PAYLOAD.pack(code, signal))

    def kill(self, number):
        # One that has ended was said to have.
        call = self.calls.get(number)
        if call is not None:
            os.kill(call.process, 9)
            self.reap(call, 0)

    def reap(self, call, options=os.WNOHANG):
        process, status = os.waitpid(call.process, options)
        if process == 0:
            return
        self.poll.unregister(call.pidfd)
        del self.ended[call.pidfd], self.calls[call.number]
        os.close(call.pidfd)
        os.close(call.proc)
        code = os.waitstatus_to_exitcode(status)
        self.end(call.number, code if code >= 0 else -1, -code if code < 0 else 0)
        self.to_remove.append(call.folder)

    # One call.

    def fork(self, number):
        """Makes the process of a call. True in it."""
        if number in self.calls or len(self.calls) >= self.children_max:
            raise ProtocolError(f"an order for the call {number} beside {len(self.calls)} others")
        descriptors = self.receive(number)
        folder = f"/tmp/{os.urandom(FOLDER_BYTES).hex()}"
        process = -1
        try:
            if len(os.listdir("/proc/self/task")) == 1:
                os.mkdir(folder, 0o700)
                sys.stdout.flush()
                sys.stderr.flush()
                process = os.fork()
        except OSError:
            pass
        if process == 0:
            try:
                self.become(descriptors, folder)
            except BaseException:
                os._exit(100)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        if process < 0:
            self.to_remove.append(folder)
            self.end(number, -1, 0)
            return False
        proc = os.open(f"/proc/{process}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        call = Call(number, process, os.pidfd_open(process), proc, folder)
        self.calls[number] = self.ended[call.pidfd] = call
        self.poll.register(call.pidfd, POLLIN)
        self.say(wire.FORKED, number)
        return False

    def receive(self, number):
        """The five descriptors that came for a call."""
        import _socket

        if self.socket is None:
            self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fileno=self.session.fd_ancillary)
        watch = poll()
        watch.register(self.session.fd_ancillary, POLLIN)
        while number not in self.received:
            if not watch.poll(wire.DESCRIPTOR_WAIT_SECONDS * 1000):
                raise ProtocolError(f"no descriptors came for the call {number}")
            message, extra, flags, _ = self.socket.recvmsg(64, _socket.CMSG_SPACE(4 * 8), _socket.MSG_CMSG_CLOEXEC)
            descriptors = []
            for level, kind, raw in extra:
                if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                    descriptors += [int.from_bytes(raw[at:at + 4], "little") for at in range(0, len(raw) - 3, 4)]
            if len(message) != 8 or len(descriptors) != 5 or flags & _socket.MSG_CTRUNC:
                raise ProtocolError(f"{len(descriptors)} descriptors with {len(message)} bytes instead of a call's five")
            self.received[wire.STREAM_TAG.unpack(message)[0]] = descriptors
        return self.received.pop(number)

    def become(self, descriptors, folder):
        """In the new process: takes away what is not the call's, before there is anything of the call."""
        self.socket.detach()
        failed = self.library.apus_call_confine(
            self.descriptors_type(*descriptors), folder.encode(), self.data_bytes)
        if failed:
            os._exit(100 + failed)
        os.environ["HOME"] = os.environ["TMPDIR"] = folder
        tempfile = sys.modules.get("tempfile")
        if tempfile is not None:
            tempfile.tempdir = None
            tempfile._name_sequence = None
        # The interpreter's own hook has seeded `random` anew; this is numpy's.
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random is not None:
            numpy_random.seed()

    # What calls leave.

    def remove_some(self):
        """Removes a bounded part of the folders of calls that are over. No live process can reach into them."""
        left = REMOVED_PER_TURN
        while self.to_remove and left > 0:
            folder = self.to_remove[-1]
            try:
                os.chmod(folder, 0o700)
                with os.scandir(folder) as entries:
                    for entry in entries:
                        left -= 1
                        if left < 0:
                            return
                        self.remove(entry)
                if self.to_remove[-1] is folder:
                    os.rmdir(folder)
                    self.to_remove.pop()
            except FileNotFoundError:
                self.to_remove.remove(folder)

    def remove(self, entry):
        if not entry.is_dir(follow_symlinks=False):
            return os.unlink(entry.path)
        # Folders in folders, however deep, all come to lie beside each other.
        self.trash += 1
        target = f"/tmp/{os.urandom(FOLDER_BYTES).hex()}-{self.trash}"
        os.chmod(entry.path, 0o700)
        os.rename(entry.path, target)
        self.to_remove.append(target)


def serve(session, configuration):
    """Loads the function and forks its calls' processes; each goes on as a worker with a session of its own. Never returns."""
    from apus import _failures
    from apus._rehearsal import buffer, rest
    from apus._session import Session

    try:
        library = prepare()
        module, handler = _loader.load(configuration)
        forks = Forks(session, configuration["forks"], library)
        forks.check()
    except _loader.LoadError as error:
        refuse(session, "start_failed", str(error), error.detail)
    except CannotFork as error:
        refuse(session, "cannot_fork", str(error))
    except BaseException as error:
        refuse(session, "start_failed", _failures.describe(error), _failures.trace(error))
    forks.settle()
    session.send(wire.frame(wire.READY))
    try:
        forks.run()
    except ProtocolError as error:
        print(f"apus: the server broke the worker protocol: {error}", file=sys.stderr, flush=True)
        os._exit(70)
    except BrokenPipeError:
        os._exit(1)
    _loader.loaded = module, handler
    code = Session(session.fd_in, session.fd_out, session.fd_ancillary, buffer()).run(rest)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def refuse(session, code, message, detail=""):
    from apus import _failures

    session.send(wire.frame(wire.ERROR, _failures.payload(wire.PERMANENT, code, message, detail)))
    sys.stderr.flush()
    os._exit(1)
