"use strict";
// Bytes from and to the server. Reads wake the loop; writes block, so that a server that does not read holds the worker up and
// nothing piles up here.
const fs = require("fs");
const net = require("net");
const { ProtocolError } = require("./errors.js");
const { FLAGS_END, FRAME_BYTES, HEAD_BYTES, LIMIT, PAYLOAD_BYTES, TYPE, VERSION } = require("./wire.js");

class Channel {
  #in;
  #out;
  #onFrames;
  #onEnd;
  // Holds any whole frame and what a pipe brings beside it.
  #buffer = Buffer.allocUnsafeSlow(2 * FRAME_BYTES);
  #at = 0;
  #end = 0;
  #scanned = 0;
  #replies = [];
  #waiting = 0;
  #isScheduled = false;

  constructor(input, output, onFrames, onEnd) {
    this.#in = input;
    this.#out = output;
    this.#onFrames = onFrames;
    this.#onEnd = onEnd;
  }

  open() {
    const callback = (count, bytes) => {
      // What was looked ahead for may have filled the buffer: the frames in it go first.
      for (let from = 0; from < count;) {
        this.#makeRoom();
        const size = Math.min(count - from, this.#buffer.length - this.#end);
        if (size === 0) throw new ProtocolError("more than a frame is waiting");
        bytes.copy(this.#buffer, this.#end, from, from + size);
        this.#end += size;
        from += size;
        this.#onFrames();
      }
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(FRAME_BYTES), callback };
    const socket = new net.Socket({ fd: this.#in, readable: true, writable: false, onread });
    socket.on("end", () => this.#onEnd(this.#at === this.#end));
    socket.on("error", () => this.#onEnd(false));
    socket.resume();
    this.socket = socket;
  }

  #makeRoom() {
    if (this.#at === 0) return;
    this.#buffer.copyWithin(0, this.#at, this.#end);
    this.#end -= this.#at;
    this.#scanned = Math.max(0, this.#scanned - this.#at);
    this.#at = 0;
  }

  #headAt(at) {
    const [length, flags, version] = [this.#buffer.readUInt32LE(at), this.#buffer[at + 5], this.#buffer.readUInt16LE(at + 6)];
    const type = this.#buffer[at + 4];
    if (version !== VERSION || length > PAYLOAD_BYTES || flags >= FLAGS_END) {
      throw new ProtocolError(`a frame of type ${type}, version ${version}, flags ${flags}, ${length} bytes`);
    }
    return { length, type, flags };
  }

  /** The next whole frame, null for none. Its payload is its own copy: what a handler keeps of it stays as it is. */
  next() {
    const at = this.#at;
    if (this.#end - at < HEAD_BYTES) return null;
    const { length, type, flags } = this.#headAt(at);
    const after = at + HEAD_BYTES + length;
    if (after > this.#end) return null;
    const payload = Buffer.from(this.#buffer.subarray(at + HEAD_BYTES, after));
    this.#at = after;
    const [stream, deadline] = [this.#buffer.readBigUInt64LE(at + 8), this.#buffer.readBigInt64LE(at + 16)];
    if (this.#at === this.#end) this.#at = this.#end = this.#scanned = 0;
    return { type, flags, stream, deadline, payload };
  }

  /** The streams of the CANCEL frames that have come and were not looked at. Never waits and never runs anything. */
  lookAhead() {
    this.#makeRoom();
    while (this.#end < this.#buffer.length) {
      let count;
      try {
        count = fs.readSync(this.#in, this.#buffer, this.#end, this.#buffer.length - this.#end, null);
      } catch (error) {
        // EAGAIN: nothing is there. Anything else the loop finds again.
        break;
      }
      if (count === 0) break;
      this.#end += count;
    }
    const cancelled = [];
    let at = Math.max(this.#scanned, this.#at);
    while (this.#end - at >= HEAD_BYTES) {
      const after = at + HEAD_BYTES + this.#buffer.readUInt32LE(at);
      if (after > this.#end) break;
      if (this.#buffer[at + 4] === TYPE.CANCEL) cancelled.push(this.#buffer.readBigUInt64LE(at + 8));
      at = after;
    }
    this.#scanned = at;
    // The descriptor will not be readable again for bytes that are already here.
    if (this.#end > this.#at) setImmediate(this.#onFrames);
    return cancelled;
  }

  /** Frames that may wait for others of the same turn. */
  queue(frames) {
    for (const raw of frames) {
      this.#replies.push(raw);
      this.#waiting += raw.length;
    }
    if (this.#waiting > LIMIT.replies) return this.flush();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  flush() {
    if (this.#replies.length === 0) return;
    const raw = this.#replies.length === 1 ? this.#replies[0] : Buffer.concat(this.#replies, this.#waiting);
    this.#replies = [];
    this.#waiting = 0;
    for (let at = 0; at < raw.length;) at += fs.writeSync(this.#out, raw, at);
  }
}

module.exports = { Channel };
