"""Events that do not come whole in one INVOKE: batches, tables, data in DATA frames and in sealed memory."""
from apus import _wire as wire
from apus._context import BatchContext, Context
from apus._errors import NotAvailable, ProtocolError
from apus._event import Received

_F_GET_SEALS = 1034
_SEALS = 0x2 | 0x4 | 0x8  # It can no longer shrink, grow or be written.
_KNOWN_FLAGS = {
    wire.INVOKE: wire.MORE | wire.TABLE | wire.DESCRIPTOR,
    wire.BATCH: wire.MORE | wire.DESCRIPTOR,
    wire.DATA: wire.MORE,
}


class _Arriving:
    """An event whose data is still coming."""

    __slots__ = ("event", "deadline", "kind", "flags", "size", "parts", "received")

    def __init__(self, event, deadline, kind, flags, size, part):
        self.event = event
        self.deadline = deadline
        self.kind = kind
        self.flags = flags
        self.size = size
        self.parts = [part]
        self.received = len(part)


class Arrivals:
    def __init__(self, session):
        self.session = session
        self.arriving = {}
        self.memory = {}
        self.socket = None
        self.known_secrets = None

    def frame(self, kind, flags, stream, deadline, chunk, at, end):
        """Takes an INVOKE, BATCH or DATA frame; returns the job that is now complete, if any."""
        if flags & ~_KNOWN_FLAGS[kind]:
            raise ProtocolError(f"the flags {flags} on a frame of type {kind}")
        if kind == wire.DATA:
            return self._data(flags, stream, chunk[at:end])
        if kind == wire.INVOKE:
            event, size = self._event(chunk, at, end, flags)
            return self._begin(event, size, stream, deadline, kind, flags)
        return self._batch(flags, deadline, chunk, at, end)

    def _event(self, chunk, at, end, flags):
        """The event at a place, and how many bytes of data it will have."""
        block = at + wire.INVOKE_HEAD_BYTES
        if end - block < wire.BLOCK_BYTES:
            raise ProtocolError("an INVOKE without an event")
        _, key, attributes, size, _ = wire.BLOCK.unpack_from(chunk, block)
        attributes_at = block + wire.BLOCK_BYTES + (0 if key == wire.NO_KEY else key)
        data_at = attributes_at + attributes
        present = end - data_at
        follows = flags & (wire.MORE | wire.DESCRIPTOR)
        if present < 0 or present > size or (present < size and not follows) or size > wire.RESULT_BYTES:
            raise ProtocolError("an INVOKE whose lengths contradict each other")
        event = Received(chunk, at, attributes_at, data_at, end, None, self.session.triggers, bool(flags & wire.TABLE))
        return event, size

    def _begin(self, event, size, stream, deadline, kind, flags):
        if flags & wire.DESCRIPTOR:
            event._raw = self._memory_of(stream, size)
        elif flags & wire.MORE:
            if stream in self.arriving or len(self.arriving) >= wire.STREAMS_ARRIVING:
                raise ProtocolError(f"a second event on the stream {stream}, or too many at a time")
            part = event._bytes[event._data_at:event._end]
            self.arriving[stream] = _Arriving(event, deadline, kind, flags, size, part)
            return None
        return self._job(event, stream, deadline, kind)

    def _data(self, flags, stream, part):
        arriving = self.arriving.get(stream)
        if arriving is None:
            raise ProtocolError(f"DATA for the stream {stream}, which expects none")
        arriving.parts.append(part)
        arriving.received += len(part)
        if arriving.received > arriving.size or (not flags & wire.MORE and arriving.received < arriving.size):
            raise ProtocolError(f"{arriving.received} bytes of data on the stream {stream} instead of {arriving.size}")
        if flags & wire.MORE:
            return None
        del self.arriving[stream]
        arriving.event._raw = b"".join(arriving.parts)
        return self._job(arriving.event, stream, arriving.deadline, arriving.kind)

    def _job(self, event, stream, deadline, kind):
        from apus._session import Job

        context = Context(self.session, stream, deadline, event)
        if kind == wire.BATCH:
            return Job([event], BatchContext(self.session, [context], deadline), stream, [stream])
        if self.session.is_batch:
            return Job([event], context, stream, is_wrapped=True, is_table=event.table)
        return Job(event, context, stream, is_table=event.table)

    def _batch(self, flags, deadline, chunk, at, end):
        from apus._session import Job

        if end - at < 8:
            raise ProtocolError("a BATCH without a head")
        count = wire.COUNT.unpack_from(chunk, at)[0]
        at += 8
        if count == 0 or count * wire.BATCH_ITEM_BYTES > end - at or (flags and count != 1):
            raise ProtocolError(f"a BATCH of {count} events")
        events, streams = [], []
        for _ in range(count):
            if end - at < wire.BATCH_ITEM_BYTES:
                raise ProtocolError("a BATCH that ends inside an event")
            stream, length, _ = wire.BATCH_ITEM.unpack_from(chunk, at)
            at += wire.BATCH_ITEM_BYTES
            if length > end - at:
                raise ProtocolError("a BATCH that ends inside an event")
            event, size = self._event(chunk, at, at + length, flags)
            at += length
            events.append(event)
            streams.append(stream)
        if at != end:
            raise ProtocolError("a BATCH with bytes behind its last event")
        if flags:
            return self._begin(events[0], size, streams[0], deadline, wire.BATCH, flags)
        contexts = [Context(self.session, stream, deadline, event) for stream, event in zip(streams, events)]
        return Job(events, BatchContext(self.session, contexts, deadline), streams[0], streams)

    # Descriptor 5.

    def _memory_of(self, stream, size):
        """The bytes of the sealed memory that came for a stream."""
        raw = self._receive(stream)
        if raw is None:
            raise ProtocolError(f"no memory came for the stream {stream}")
        if len(raw) != size:
            raise ProtocolError(f"memory of {len(raw)} bytes for an event of {size}")
        return raw

    def _receive(self, stream, wait=wire.DESCRIPTOR_WAIT_SECONDS):
        """Reads descriptor 5 until the memory of `stream` is there; None when it does not come in time."""
        from select import POLLIN, poll

        import _socket

        if self.socket is None:
            self.socket = _socket.socket(
                _socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fileno=self.session.fd_ancillary)
        watch = poll()
        watch.register(self.session.fd_ancillary, POLLIN)
        while stream not in self.memory:
            if not watch.poll(int(wait * 1000)):
                return None
            message, extra, flags, _ = self.socket.recvmsg(64, _socket.CMSG_SPACE(4 * 4), _socket.MSG_CMSG_CLOEXEC)
            if not message and not extra:
                return None
            self._take(message, extra, flags, _socket)
        return self.memory.pop(stream)

    def _take(self, message, extra, flags, _socket):
        from posix import close

        descriptors = []
        for level, kind, raw in extra:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                descriptors += [int.from_bytes(raw[at:at + 4], "little") for at in range(0, len(raw) - 3, 4)]
        try:
            if len(message) < 8 or len(descriptors) != 1 or flags & _socket.MSG_CTRUNC:
                raise ProtocolError(f"{len(descriptors)} descriptors with {len(message)} bytes instead of one with its stream")
            if len(self.memory) >= wire.DESCRIPTORS_WAITING:
                raise ProtocolError("too many descriptors without their frames")
            self.memory[wire.STREAM_TAG.unpack_from(message)[0]] = _contents(descriptors[0])
        finally:
            for descriptor in descriptors:
                close(descriptor)

    def secrets(self):
        """Name to text, from the sealed memory of stream 0. It comes before the first invocation, or not at all."""
        if self.known_secrets is None:
            if not self.session.configuration.get("secrets"):
                self.known_secrets = {}
                return self.known_secrets
            from apus._text import parse

            raw = self._receive(0)
            if raw is None or len(raw) > wire.SECRETS_BYTES:
                raise NotAvailable("the secrets of this function did not come from the server")
            self.known_secrets = parse(raw)
        return self.known_secrets


def _contents(descriptor):
    """Copies sealed memory. Unsealed memory could change or shrink under its reader."""
    from fcntl import fcntl
    from posix import fstat, pread

    try:
        seals = fcntl(descriptor, _F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & _SEALS != _SEALS:
        raise ProtocolError("a descriptor that is no sealed memory")
    size = fstat(descriptor).st_size
    if size > wire.RESULT_BYTES:
        raise ProtocolError(f"memory of {size} bytes")
    parts, at = [], 0
    while at < size:
        part = pread(descriptor, size - at, at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
