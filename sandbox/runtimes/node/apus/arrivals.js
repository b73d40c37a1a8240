"use strict";
// Events as they come in: whole, in a batch, or with their data in DATA frames behind them.
const { ProtocolError } = require("./errors.js");
const { Received } = require("./event.js");
const { ABSENT, BATCH_ITEM_BYTES, BLOCK_BYTES, FLAG, INVOKE_HEAD_BYTES, LIMIT, TYPE } = require("./wire.js");

const KNOWN_FLAGS = { [TYPE.INVOKE]: FLAG.MORE | FLAG.TABLE, [TYPE.BATCH]: FLAG.MORE, [TYPE.DATA]: FLAG.MORE };

class Arrivals {
  #arriving = new Map();
  #triggers;

  constructor(triggers) { this.#triggers = triggers; }

  /**
   * Takes an INVOKE, BATCH or DATA frame; returns `{items, deadline, isBatch}` where a delivery is complete now, its items being
   * pairs of stream and event, else null.
   */
  frame(type, flags, stream, deadline, payload) {
    if (flags & ~KNOWN_FLAGS[type]) throw new ProtocolError(`the flags ${flags} on a frame of type ${type}`);
    if (type === TYPE.DATA) return this.#data(flags, stream, payload);
    if (type === TYPE.BATCH) return this.#batch(flags, deadline, payload);
    return this.#begin({ stream, ...this.#event(payload, flags) }, flags, { deadline, isBatch: false });
  }

  /** The event of an invoke head and block, how many bytes of data it will have and the first of them. */
  #event(payload, flags) {
    if (payload.length < INVOKE_HEAD_BYTES + BLOCK_BYTES) throw new ProtocolError("an INVOKE without an event");
    const at = INVOKE_HEAD_BYTES;
    const [key, attributes, size] = [payload.readUInt32LE(at + 8), payload.readUInt32LE(at + 12), payload.readUInt32LE(at + 16)];
    const attributesAt = at + BLOCK_BYTES + (key === ABSENT ? 0 : key);
    const dataAt = attributesAt + attributes;
    const present = payload.length - dataAt;
    const isShort = present < size && !(flags & FLAG.MORE);
    if (present < 0 || present > size || isShort || size > LIMIT.result) {
      throw new ProtocolError("an INVOKE whose lengths contradict each other");
    }
    checkAttributes(payload, attributesAt, dataAt);
    const event = new Received(payload, attributesAt, dataAt, this.#triggers, (flags & FLAG.TABLE) !== 0);
    return { event, size, first: payload.subarray(dataAt) };
  }

  #begin({ stream, event, size, first }, flags, about) {
    const whole = { ...about, items: [{ stream, event }] };
    if (!(flags & FLAG.MORE)) return whole;
    if (this.#arriving.has(stream) || this.#arriving.size >= LIMIT.streamsArriving) {
      throw new ProtocolError(`a second event on the stream ${stream}, or too many at a time`);
    }
    this.#arriving.set(stream, { whole, size, parts: [first], received: first.length });
    return null;
  }

  #data(flags, stream, part) {
    const arriving = this.#arriving.get(stream);
    if (arriving === undefined) throw new ProtocolError(`DATA for the stream ${stream}, which expects none`);
    arriving.parts.push(part);
    arriving.received += part.length;
    const isLast = !(flags & FLAG.MORE);
    if (arriving.received > arriving.size || (isLast && arriving.received < arriving.size)) {
      throw new ProtocolError(`${arriving.received} bytes of data on the stream ${stream} instead of ${arriving.size}`);
    }
    if (!isLast) return null;
    this.#arriving.delete(stream);
    arriving.whole.items[0].event.giveData(Buffer.concat(arriving.parts));
    return arriving.whole;
  }

  #batch(flags, deadline, payload) {
    if (payload.length < 8) throw new ProtocolError("a BATCH without a head");
    const count = payload.readUInt32LE(0);
    if (count === 0 || count * BATCH_ITEM_BYTES > payload.length - 8 || (flags && count !== 1)) {
      throw new ProtocolError(`a BATCH of ${count} events`);
    }
    const items = [];
    let at = 8;
    for (let index = 0; index < count; index++) {
      if (payload.length - at < BATCH_ITEM_BYTES) throw new ProtocolError("a BATCH that ends inside an event");
      const [stream, length] = [payload.readBigUInt64LE(at), payload.readUInt32LE(at + 8)];
      at += BATCH_ITEM_BYTES;
      if (length > payload.length - at) throw new ProtocolError("a BATCH that ends inside an event");
      items.push({ stream, ...this.#event(payload.subarray(at, at + length), flags) });
      at += length;
    }
    if (at !== payload.length) throw new ProtocolError("a BATCH with bytes behind its last event");
    if (flags) return this.#begin(items[0], flags, { deadline, isBatch: true });
    return { items, deadline, isBatch: true };
  }
}

/** Whether the attributes of an event are as long as they say, looked at once: what reads them later need not. */
function checkAttributes(payload, at, end) {
  while (at < end) {
    if (end - at < 4) throw new ProtocolError("an event whose attributes end inside one");
    at += 4 + payload[at] + payload.readUInt16LE(at + 2);
  }
  if (at !== end) throw new ProtocolError("an event whose attributes end inside one");
}

module.exports = { Arrivals };
