"""The bytes of the worker protocol, little-endian. docs/worker-protocol.md describes them."""
from _struct import Struct

VERSION = 1
HELLO, INIT, READY, CREDIT, DRAIN, PING, BYE, SLEEP, WAKE = range(1, 10)
INVOKE, BATCH, DATA, RESULT, ERROR, ITEM_RESULT, CANCEL = range(16, 23)
PROGRESS, LOG, EMIT, CALL, CALL_RESULT, INPUT_REQUEST, INPUT = range(32, 39)
FORK, FORKED, ENDED, KILL = range(48, 52)

MORE, STREAM, TABLE, DESCRIPTOR, FAILED, ANSWER = 1, 2, 4, 8, 16, 32
FLAGS_END = 64
# What READY may say of the function: it has the hooks sleep() and wake().
ABILITY_SLEEP = 1

RETRYABLE, PERMANENT, POISON = 0, 1, 2

# length, type, flags, version, stream, deadline
HEAD = Struct("<IBBHQq")
HEAD_BYTES = 24
# attempt, trigger, partition, flags, offset, invocation high, invocation low
INVOKE_HEAD = Struct("<IIIIqQQ")
INVOKE_HEAD_BYTES = 40
# A flag of an invoke head: the delivery is part of a replay.
REPLAY = 1
# timestamp, key length, attributes length, data length, flags
BLOCK = Struct("<qIIII")
BLOCK_BYTES = 24
# A header and the head of an event block behind it.
HEAD_BLOCK = Struct("<IBBHQqqIIII")
# stream, length, 0
BATCH_ITEM = Struct("<QII")
BATCH_ITEM_BYTES = 16
# class, 0, code length, message length, detail length, retry after in milliseconds
ERROR_HEAD = Struct("<BBHIII")
HELLO_HEAD = Struct("<HHIH")
PROGRESS_HEAD = Struct("<QQ")
# exit code, signal
ENDED_PAYLOAD = Struct("<ii")
COUNT = Struct("<I")
STREAM_TAG = Struct("<Q")
STREAM_NAME = Struct("<H")
ATTRIBUTE = Struct("<BBH")

NO_KEY = 0xFFFFFFFF
NULL_DATA = 1
DIRECT = 0xFFFFFFFF
NO_DELAY = 0xFFFFFFFF
HEADER_KIND = 128

FEATURE_DESCRIPTORS, FEATURE_BATCH, FEATURE_SLEEP, FEATURE_STREAMS = 1, 2, 4, 8

# Bounds of the protocol; the server has the same.
FRAME_BYTES = 256 * 1024
PAYLOAD_BYTES = FRAME_BYTES - HEAD_BYTES
INPUTS = 1024
RESULT_BYTES = 16 << 20
LARGE_RESULT_BYTES = 64 << 20            # of a call whose caller takes it in parts; to others the server refuses it
EVENT_BYTES = 1 << 20
ATTRIBUTES_BYTES = 64 * 1024
ATTRIBUTES = 256
KEY_BYTES = 64 * 1024
TOPIC_BYTES = 249

# Bounds of this worker.
READ_BUFFER_BYTES = 2 * FRAME_BYTES     # holds any whole frame and what a pipe brings beside it
REPLY_BUFFER_BYTES = 64 * 1024          # replies gathered before they are written in the middle of a read
REPLY_DELAY_SECONDS = 0.000_5           # no finished reply waits longer than this for another handler of the same read
MESSAGE_BYTES = 8 * 1024                # of an error, a progress report
DETAIL_BYTES = 16 * 1024                # of a stack trace
LOG_BYTES = 64 * 1024                   # of one log call
DESCRIPTOR_WAIT_SECONDS = 5             # for memory that a frame announced
DESCRIPTORS_WAITING = 64                # received for streams whose frame has not come yet
SECRETS_BYTES = 1 << 20
EMITS = 1024                            # events emitted by one attempt
EMIT_BYTES = 16 << 20                   # and their bytes
CHUNK_BYTES = 64 * 1024                 # of large data, in one DATA frame
CALL_BYTES = PAYLOAD_BYTES - 4           # name and arguments of a tool that is called
SHARED_WAIT_MILLISECONDS = 20           # between two looks of threads of one handler that wait for calls
CANCEL_LOOK_SECONDS = 0.1               # between two looks of a thread that waits for a call
STREAMS_ARRIVING = 1024                 # events whose data is still coming


def frame(kind, payload=b"", stream=0, flags=0):
    return HEAD.pack(len(payload), kind, flags, VERSION, stream, 0) + payload


def clip(text, limit):
    """`text` as UTF-8 of at most `limit` bytes, marked where it was cut."""
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= limit:
        return raw
    return raw[: limit - 4].decode("utf-8", "ignore").encode() + b" ..."
