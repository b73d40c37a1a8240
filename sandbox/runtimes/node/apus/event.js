"use strict";
// Events: made by a handler, or received and read only where the handler looks.
const { isUtf8 } = require("buffer");
const { checkAttribute, decodeAttributes, encodeAttributes } = require("./attributes.js");
const { InvalidData } = require("./errors.js");
const { encodeJSON, isJSON } = require("./json.js");
const { ABSENT, BLOCK_BYTES, INVOKE_HEAD_BYTES, NULL_DATA } = require("./wire.js");

const KNOWN = ["id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];
// On Node before 18.14 bytes that are no UTF-8 are replaced instead of told.
const isText = isUtf8 ?? (() => true);

/** Bytes of any kind as a Buffer over the same memory; undefined for what is no bytes. */
function bytesOf(value) {
  if (Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return undefined;
}

/**
 * A CloudEvent: attributes, a key, data. `data` may be bytes, null (deletes the key from a compacted topic) or anything that JSON
 * can hold. Attributes that are not given are filled in where the event is published.
 */
class Event {
  #data;
  #values;
  #key;

  constructor(data = null, { key = null, attributes = {}, ...known } = {}) {
    const values = { ...attributes };
    for (const [name, value] of Object.entries(known)) {
      if (!KNOWN.includes(name)) throw new TypeError(`'${name}' is no option of an event: put it into attributes`);
      if (value !== undefined && value !== null) values[name] = value;
    }
    for (const [name, value] of Object.entries(values)) checkAttribute(name, value);
    if (key !== null && typeof key !== "string" && !(key instanceof Uint8Array)) {
      throw new TypeError(`the key of an event is a string or bytes, not ${typeof key}`);
    }
    this.#data = data;
    this.#values = values;
    this.#key = key;
  }

  get attributes() { return this.#values; }
  get data() { return this.#data; }
  get key() { return this.#key; }
  get headers() { return []; }
  get topic() { return null; }
  get partition() { return null; }
  get offset() { return null; }
  get table() { return false; }
  get replay() { return false; }
  get http() { return null; }
  get id() { return this.attributes.id; }
  get source() { return this.attributes.source; }
  get type() { return this.attributes.type; }
  get subject() { return this.attributes.subject; }
  /** RFC 3339 text, as CloudEvents has it. */
  get time() { return this.attributes.time; }
  get datacontenttype() { return this.attributes.datacontenttype; }
  get dataschema() { return this.attributes.dataschema; }

  get(name, standard = undefined) { return this.attributes[name] ?? standard; }

  /** Key, encoded attributes and data as bytes, null where there is none. */
  block() {
    let { datacontenttype: type } = this.#values;
    let data = this.#data ?? null;
    if (data !== null) {
      const raw = bytesOf(data);
      if (raw !== undefined) data = raw;
      else if (typeof data === "string" && type && !isJSON(type)) data = Buffer.from(data);
      else if (type === undefined || isJSON(type)) {
        data = encodeJSON(data);
        type ??= "application/json";
      } else throw new TypeError(`an event of type ${type} needs its data as bytes or a string`);
      type ??= "application/octet-stream";
    }
    const values = type === undefined ? this.#values : { ...this.#values, datacontenttype: type };
    const key = typeof this.#key === "string" ? Buffer.from(this.#key) : this.#key;
    return { key, attributes: encodeAttributes(values), data };
  }

  toJSON() { return { ...this.attributes, key: this.key, data: this.data }; }
}

/** An event that came from the server: its bytes, looked at when asked. */
class Received extends Event {
  #payload;
  #triggers;
  #isTable;
  #attributesAt;
  #dataAt;
  #raw;
  #data;
  #parts;

  /** `payload` holds an invoke head and an event block; `raw` is the data where it came behind them. */
  constructor(payload, attributesAt, dataAt, triggers, isTable) {
    super();
    this.#payload = payload;
    this.#attributesAt = attributesAt;
    this.#dataAt = dataAt;
    this.#triggers = triggers;
    this.#isTable = isTable;
  }

  giveData(raw) { this.#raw = raw; }

  /** The data as bytes, whatever its type; null for a tombstone. */
  get raw() {
    if (this.#raw === undefined) {
      const isNull = this.#payload.readUInt32LE(INVOKE_HEAD_BYTES + 20) & NULL_DATA;
      this.#raw = isNull ? null : this.#payload.subarray(this.#dataAt);
    }
    return this.#raw;
  }

  get data() {
    if (this.#data === undefined) {
      const raw = this.raw;
      this.#data = raw !== null && isJSON(this.attributes.datacontenttype) ? this.#parse(raw) : raw;
    }
    return this.#data;
  }

  #parse(raw) {
    try {
      if (!isText(raw)) throw new SyntaxError("it is no UTF-8");
      return JSON.parse(raw.toString());
    } catch (error) {
      throw new InvalidData(`the event's data is not JSON although its datacontenttype says so: ${error.message}`, { cause: error });
    }
  }

  #decoded() { return (this.#parts ??= decodeAttributes(this.#payload.subarray(this.#attributesAt, this.#dataAt))); }
  get attributes() { return this.#decoded().values; }
  /** Headers of the record that are no attributes: pairs of name and bytes, in order. */
  get headers() { return this.#decoded().headers; }

  /** The request that an HTTP trigger took: method, path, params, query, headers; null for everything else. */
  get http() {
    if (this.#payload.indexOf("apus-http-method", this.#attributesAt) < 0) return null;
    return require("./http.js").requestOf(this.headers);
  }

  #keyBytes() {
    const start = INVOKE_HEAD_BYTES + BLOCK_BYTES;
    const isAbsent = this.#payload.readUInt32LE(INVOKE_HEAD_BYTES + 8) === ABSENT;
    return isAbsent ? null : this.#payload.subarray(start, this.#attributesAt);
  }

  /** A string where it is UTF-8, else bytes; null for none. */
  get key() {
    const raw = this.#keyBytes();
    return raw !== null && isText(raw) ? raw.toString() : raw;
  }

  /** The topic it was delivered from; null for a direct invocation. */
  get topic() { return this.#triggers[this.#payload.readUInt32LE(4)]?.topic ?? null; }
  get partition() { return this.#payload.readUInt32LE(4) === ABSENT ? null : this.#payload.readUInt32LE(8); }

  get offset() {
    const offset = this.#payload.readBigInt64LE(16);
    return offset < 0n ? null : Number(offset);
  }

  get table() { return this.#isTable; }
  /** Whether it is delivered as part of a replay: a flag of the invoke head. */
  get replay() { return (this.#payload.readUInt32LE(12) & 1) !== 0; }
  attempt() { return this.#payload.readUInt32LE(0); }

  invocation() {
    const half = (at) => this.#payload.readBigUInt64LE(at).toString(16).padStart(16, "0");
    return half(24) + half(32);
  }

  block() {
    // Headers of the platform describe the delivery that this event came with, not the one it goes into.
    const headers = this.headers.filter(([name]) => !name.startsWith("apus-"));
    return { key: this.#keyBytes(), attributes: encodeAttributes(this.attributes, headers), data: this.raw };
  }
}

module.exports = { Event, Received, bytesOf };
