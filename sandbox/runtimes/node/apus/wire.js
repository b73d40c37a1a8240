"use strict";
// The bytes of the worker protocol, little-endian. docs/worker-protocol.md describes them.

const TYPE = {
  HELLO: 1, INIT: 2, READY: 3, CREDIT: 4, DRAIN: 5, PING: 6, BYE: 7, SLEEP: 8, WAKE: 9,
  INVOKE: 16, BATCH: 17, DATA: 18, RESULT: 19, ERROR: 20, ITEM_RESULT: 21, CANCEL: 22,
  PROGRESS: 32, LOG: 33, EMIT: 34,
};
const FLAG = { MORE: 1, STREAM: 2, TABLE: 4, DESCRIPTOR: 8, FAILED: 16, ANSWER: 32 };
const FEATURE = { BATCH: 2, SLEEP: 4, STREAMS: 8 };
const FAILURE = { RETRYABLE: 0, PERMANENT: 1, POISON: 2 };
const LEVEL = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3, STDOUT: 4, STDERR: 5 };

const VERSION = 1;
const HEAD_BYTES = 24;
const INVOKE_HEAD_BYTES = 40;
const BLOCK_BYTES = 24;
const BATCH_ITEM_BYTES = 16;
const FRAME_BYTES = 262_144;
const PAYLOAD_BYTES = FRAME_BYTES - HEAD_BYTES;
const FLAGS_END = 64;
const HEADER_KIND = 128;
const NULL_DATA = 1;
const ABSENT = 0xffff_ffff; // no key, no trigger, no delay

// Bounds of the protocol.
const LIMIT = {
  event: 1 << 20, result: 16 << 20,
  largeResult: 64 << 20, // of a call whose caller takes it in parts; to others the server refuses it
  attributeBytes: 65_536, attributes: 256, value: 65_535, key: 65_536, topic: 249,
  emits: 1024, emitBytes: 16 << 20,
  // Bounds of this worker.
  message: 8 * 1024, // of an error, a progress report
  detail: 16 * 1024, // of a stack trace
  log: 64 * 1024, // of one log call or printed line
  chunk: 64 * 1024, // of large data, in one DATA frame
  replies: 64 * 1024, // gathered before they are written in the middle of a read
  streamsArriving: 1024, // events whose data is still coming
  secrets: 1 << 20,
};
const NOTHING = Buffer.alloc(0);

function head(length, type, flags, stream) {
  const raw = Buffer.allocUnsafe(HEAD_BYTES);
  raw.writeUInt32LE(length, 0);
  raw[4] = type;
  raw[5] = flags;
  raw.writeUInt16LE(VERSION, 6);
  raw.writeBigUInt64LE(stream, 8);
  raw.writeBigInt64LE(0n, 16);
  return raw;
}

function frame(type, payload = NOTHING, stream = 0n, flags = 0) {
  return Buffer.concat([head(payload.length, type, flags, stream), payload]);
}

/** Text as UTF-8 of at most `limit` bytes, marked where it was cut. */
function clip(text, limit) {
  const raw = Buffer.from(String(text));
  if (raw.length <= limit) return raw;
  let end = limit - 4;
  // Not in the middle of a character.
  while (end > 0 && (raw[end] & 0xc0) === 0x80) end -= 1;
  return Buffer.concat([raw.subarray(0, end), Buffer.from(" ...")]);
}

function u32(value) {
  const raw = Buffer.allocUnsafe(4);
  raw.writeUInt32LE(value);
  return raw;
}

module.exports = {
  ABSENT, BATCH_ITEM_BYTES, BLOCK_BYTES, FAILURE, FEATURE, FLAG, FLAGS_END, FRAME_BYTES, HEADER_KIND, HEAD_BYTES, INVOKE_HEAD_BYTES,
  LEVEL, LIMIT, NOTHING, NULL_DATA, PAYLOAD_BYTES, TYPE, VERSION, clip, frame, head, u32,
};
