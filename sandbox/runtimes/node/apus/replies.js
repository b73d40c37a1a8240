"use strict";
// Results as frames. Nothing here writes.
const { encodeAttributes } = require("./attributes.js");
const { ResultTooLarge } = require("./errors.js");
const { Event, bytesOf } = require("./event.js");
const { Response } = require("./http.js");
const { encodeJSON, isJSON } = require("./json.js");
const { ABSENT, BLOCK_BYTES, FLAG, LIMIT, NOTHING, NULL_DATA, TYPE, frame, head } = require("./wire.js");

const typed = (datacontenttype) => encodeAttributes({ datacontenttype });
const OCTETS = typed("application/octet-stream");
const JSON_TYPE = typed("application/json");
const LINES = typed("application/x-ndjson");

/** Key, attributes and data of what a handler returned. */
function blockOf(result) {
  if (result === undefined || result === null) return { key: null, attributes: NOTHING, data: null };
  const raw = bytesOf(result);
  if (raw !== undefined) return { key: null, attributes: OCTETS, data: raw };
  if (result instanceof Event || result instanceof Response) return result.block();
  return { key: null, attributes: JSON_TYPE, data: encodeJSON(result) };
}

function blockHead(key, attributes, size, flags) {
  const raw = Buffer.alloc(BLOCK_BYTES);
  raw.writeUInt32LE(key === null ? ABSENT : key.length, 8);
  raw.writeUInt32LE(attributes.length, 12);
  raw.writeUInt32LE(size, 16);
  raw.writeUInt32LE(flags, 20);
  return raw;
}

/** One event block as frames, in several where it is large. */
function blockFrames(type, stream, prefix, { key, attributes, data }) {
  const size = data?.length ?? 0;
  const most = type === TYPE.RESULT ? LIMIT.largeResult : LIMIT.result;
  if (size > most) {
    throw new ResultTooLarge(
      `the result has ${size} bytes; at most ${most} are allowed: store it elsewhere and return its address`);
  }
  if ((key?.length ?? 0) > LIMIT.key) throw new RangeError(`the key has ${key.length} bytes; at most ${LIMIT.key} are allowed`);
  const start = [prefix, blockHead(key, attributes, size, data === null ? NULL_DATA : 0), key ?? NOTHING, attributes];
  const length = start.reduce((sum, part) => sum + part.length, 0);
  if (length + size <= LIMIT.chunk) return [head(length + size, type, 0, stream), ...start, data ?? NOTHING];
  return [head(length, type, FLAG.MORE, stream), ...start, ...dataFrames(stream, data ?? NOTHING, true)];
}

/** DATA frames of some bytes, each with `more`; the last of them without where `isAll`. */
function dataFrames(stream, data, isAll) {
  const frames = [];
  let at = 0;
  do {
    const part = data.subarray(at, at + LIMIT.chunk);
    at += LIMIT.chunk;
    const flags = isAll && at >= data.length ? 0 : FLAG.MORE;
    if (part.length > 0 || isAll) frames.push(head(part.length, TYPE.DATA, flags, stream), part);
  } while (at < data.length);
  return frames;
}

/** A RESULT or an ITEM_RESULT. */
function resultFrames(type, stream, result) { return blockFrames(type, stream, NOTHING, blockOf(result)); }

/** Whether the parts of this are a streamed result: a generator, sync or async, or a stream; no array, string or map. */
function isStream(value) {
  if (value === null || typeof value !== "object") return false;
  const isGenerator = typeof value.next === "function" && typeof value[Symbol.iterator] === "function";
  return isGenerator || typeof value[Symbol.asyncIterator] === "function";
}

/**
 * A streamed result: the first part decides what it is, bytes as they are or lines of JSON. With a `response` its status, headers
 * and content type hold; where the type is no JSON, parts that are text go as they are.
 */
class PartWriter {
  #session;
  #stream;
  #response;
  #isBytes = null;
  #isText;
  #sent = 0;

  constructor(session, stream, response) {
    this.#session = session;
    this.#stream = stream;
    this.#response = response;
    const type = response?.contentType;
    this.#isText = type !== undefined && !isJSON(type) && !type.startsWith("application/x-ndjson");
  }

  part(value) {
    let raw = this.#isText && typeof value === "string" ? Buffer.from(value) : bytesOf(value);
    const isBytes = raw !== undefined;
    if (this.#isBytes === null) this.#begin(isBytes);
    else if (this.#isBytes !== isBytes) {
      throw new TypeError("a generator yields either bytes only or no bytes at all: its parts make one result");
    }
    if (value instanceof Event) {
      throw new TypeError("a generator cannot yield an apus.Event: use context.emit for further events");
    }
    raw ??= Buffer.concat([encodeJSON(value), Buffer.from("\n")]);
    this.#sent += raw.length;
    if (this.#sent > LIMIT.largeResult) throw new ResultTooLarge(`the parts of the result have more than ${LIMIT.largeResult} bytes`);
    this.#session.send(Buffer.concat(dataFrames(this.#stream, raw, false)));
  }

  #begin(isBytes) {
    this.#isBytes = isBytes;
    const standard = isBytes ? "application/octet-stream" : "application/x-ndjson";
    const attributes = this.#response?.attributes(standard) ?? (isBytes ? OCTETS : LINES);
    const start = Buffer.concat([blockHead(null, attributes, 0, 0), attributes]);
    this.#session.send(frame(TYPE.RESULT, start, this.#stream, FLAG.MORE | FLAG.STREAM));
  }

  /** The frames that end the result. */
  end() {
    if (this.#isBytes !== null) return [frame(TYPE.DATA, NOTHING, this.#stream)];
    if (this.#response === undefined) return resultFrames(TYPE.RESULT, this.#stream, null);
    return blockFrames(TYPE.RESULT, this.#stream, NOTHING, { key: null, attributes: this.#response.attributes(), data: NOTHING });
  }
}

module.exports = { PartWriter, blockFrames, isStream, resultFrames };
