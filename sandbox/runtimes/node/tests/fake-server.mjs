// The server's side of the worker protocol, for tests: starts a real worker process and speaks with it.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const RUNTIME = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../apus");
const DEADLINE_MILLISECONDS = 20_000;
const TYPES = {
  HELLO: 1, INIT: 2, READY: 3, CREDIT: 4, DRAIN: 5, PING: 6, BYE: 7, SLEEP: 8, WAKE: 9, INVOKE: 16, BATCH: 17, DATA: 18, RESULT: 19,
  ERROR: 20, ITEM_RESULT: 21, CANCEL: 22, PROGRESS: 32, LOG: 33, EMIT: 34, CALL: 35,
};
const NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, number]) => [number, name]));
export const MORE = 1, STREAM = 2, TABLE = 4, DESCRIPTOR = 8, FAILED = 16, ANSWER = 32;
export const ECHO = "export function handle(event) { return event.data; }\n";

export function encode(type, payload = Buffer.alloc(0), { stream = 0, flags = 0, deadline = 0n, version = 1 } = {}) {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(payload.length, 0);
  head[4] = TYPES[type] ?? type;
  head[5] = flags;
  head.writeUInt16LE(version, 6);
  head.writeBigUInt64LE(BigInt(stream), 8);
  head.writeBigInt64LE(BigInt(deadline), 16);
  return Buffer.concat([head, payload]);
}

/** `pairs`: name and text, or name and [kind, value]. */
export function attributes(pairs) {
  return Buffer.concat(pairs.map(([name, value]) => {
    const [kind, raw] = Array.isArray(value) ? value : [0, value];
    const bytes = Buffer.from(raw);
    const head = Buffer.alloc(4);
    head[0] = Buffer.byteLength(name);
    head[1] = kind;
    head.writeUInt16LE(bytes.length, 2);
    return Buffer.concat([head, Buffer.from(name), bytes]);
  }));
}

export function block(data = null, { key = null, pairs = [], size = data?.length ?? 0 } = {}) {
  const raw = attributes(pairs);
  const head = Buffer.alloc(24);
  head.writeUInt32LE(key === null ? 0xffff_ffff : key.length, 8);
  head.writeUInt32LE(raw.length, 12);
  head.writeUInt32LE(size, 16);
  head.writeUInt32LE(data === null && size === 0 ? 1 : 0, 20);
  return Buffer.concat([head, Buffer.from(key ?? ""), raw, Buffer.from(data ?? "")]);
}

export function invokeHead({ attempt = 1, trigger = 0xffff_ffff, partition = 0, offset = -1, marks = 0 } = {}) {
  const raw = Buffer.alloc(40);
  raw.writeUInt32LE(attempt, 0);
  raw.writeUInt32LE(trigger, 4);
  raw.writeUInt32LE(partition, 8);
  raw.writeUInt32LE(marks, 12);
  raw.writeBigInt64LE(BigInt(offset), 16);
  raw.writeBigUInt64LE(0x0123456789abcdefn, 24);
  raw.writeBigUInt64LE(0xfedcba9876543210n, 32);
  return raw;
}

export function batchOf(items) {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(items.length, 0);
  return Buffer.concat([head, ...items.flatMap(([stream, event]) => {
    const raw = Buffer.concat([invokeHead(), event]);
    const item = Buffer.alloc(16);
    item.writeBigUInt64LE(BigInt(stream), 0);
    item.writeUInt32LE(raw.length, 8);
    return [item, raw];
  })]);
}

function parseBlock(raw) {
  const [key, length, flags] = [raw.readUInt32LE(8), raw.readUInt32LE(12), raw.readUInt32LE(20)];
  let at = 24;
  const keyBytes = key === 0xffff_ffff ? null : raw.subarray(at, (at += key));
  const values = {};
  const headers = [];
  const end = at + length;
  while (at < end) {
    const [name, kind, value] = [raw[at], raw[at + 1], raw.readUInt16LE(at + 2)];
    const text = raw.toString("utf8", at + 4, at + 4 + name);
    const bytes = raw.subarray(at + 4 + name, at + 4 + name + value);
    if (kind === 128) headers.push([text, bytes.toString()]);
    else values[text] = bytes.toString();
    at += 4 + name + value;
  }
  return { key: keyBytes?.toString() ?? null, attributes: values, headers, data: flags & 1 ? null : raw.subarray(at), size: raw.readUInt32LE(16) };
}

export function parseError(raw) {
  const [code, message, detail, after] = [raw.readUInt16LE(2), raw.readUInt32LE(4), raw.readUInt32LE(8), raw.readUInt32LE(12)];
  return {
    kind: ["retryable", "permanent", "poison"][raw[0]], code: raw.toString("utf8", 16, 16 + code),
    message: raw.toString("utf8", 16 + code, 16 + code + message),
    detail: raw.toString("utf8", 16 + code + message, 16 + code + message + detail), after: after === 0xffff_ffff ? null : after,
  };
}

/** One worker. `source` is the text of main.mjs, or an object of files. Closed by `await using`'s kin: the test's `after`. */
export class FakeServer {
  #buffer = Buffer.alloc(0);
  #waiting = null;
  #hasEnded = false;
  printed = "";

  constructor(test, source, { handler = "main:handle", initialize = true, secrets = null, flags = [], ...configuration } = {}) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "apus-node-"));
    const files = typeof source === "string" ? { "main.mjs": source } : source;
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(this.folder, name)), { recursive: true });
      fs.writeFileSync(path.join(this.folder, name), text);
    }
    // In a sandbox it lies in /node_modules.
    fs.mkdirSync(path.join(this.folder, "node_modules"), { recursive: true });
    fs.symlinkSync(RUNTIME, path.join(this.folder, "node_modules/apus"));
    this.configuration = {
      function: "test", namespace: "default", revision: "r", handler, concurrency: 1, batch: null, timeoutMicroseconds: 30_000_000,
      emits: [], path: this.folder, layer: null, weights: null, triggers: [{ name: "in", topic: "documents", table: false }],
      ...configuration,
    };
    const descriptors = ["ignore", "pipe", "pipe", "pipe", "pipe", "ignore"];
    if (secrets !== null) descriptors.push(this.#fileWithoutName(secrets));
    this.process = spawn(process.execPath, [...flags, path.join(RUNTIME, "main.js")], { stdio: descriptors, env: { HOME: "/tmp" } });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (text) => (this.printed += text));
    this.exit = new Promise((resolve) => this.process.on("close", (code, signal) => resolve(code ?? signal)));
    this.process.stdio[3].on("error", () => {});
    this.process.stdio[4].on("data", (bytes) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#waiting?.();
    });
    this.process.stdio[4].on("end", () => {
      this.#hasEnded = true;
      this.#waiting?.();
    });
    test.after(() => this.close());
    if (initialize) this.initialize();
  }

  #fileWithoutName(text) {
    const name = path.join(this.folder, "secrets");
    fs.writeFileSync(name, text);
    const descriptor = fs.openSync(name, "r");
    fs.unlinkSync(name);
    return descriptor;
  }

  initialize() { this.send("INIT", Buffer.from(JSON.stringify(this.configuration))); }

  write(raw) { this.process.stdio[3].write(raw); }
  send(type, payload, more) { this.write(encode(type, payload, more)); }

  invoke(stream, data = "", { key = null, pairs = [], flags = 0, deadline = 0n, ...head } = {}) {
    const raw = data === null ? null : Buffer.from(data);
    this.send("INVOKE", Buffer.concat([invokeHead(head), block(raw, { key, pairs })]), { stream, flags, deadline });
  }

  invokeJSON(stream, value, { pairs = [], ...more } = {}) {
    this.invoke(stream, JSON.stringify(value), { pairs: [["datacontenttype", "application/json"], ...pairs], ...more });
  }

  async receive() {
    const isOver = { value: false };
    const timer = setTimeout(() => {
      isOver.value = true;
      this.#waiting?.();
    }, DEADLINE_MILLISECONDS);
    try {
      while (true) {
        const frame = this.#next();
        if (frame !== null) return frame;
        if (this.#hasEnded) throw new Error(`the worker is gone; it printed:\n${this.printed}`);
        if (isOver.value) throw new Error(`the worker did not answer in time; it printed:\n${this.printed}`);
        await new Promise((resolve) => (this.#waiting = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #next() {
    if (this.#buffer.length < 24) return null;
    const length = this.#buffer.readUInt32LE(0);
    if (this.#buffer.length < 24 + length) return null;
    const raw = this.#buffer.subarray(0, 24 + length);
    this.#buffer = this.#buffer.subarray(24 + length);
    return { type: NAMES[raw[4]], flags: raw[5], stream: Number(raw.readBigUInt64LE(8)), payload: raw.subarray(24), raw };
  }

  async expect(type, stream = undefined) {
    const frame = await this.receive();
    if (frame.type === type && (stream === undefined || frame.stream === stream)) return frame;
    const about = frame.type === "ERROR" ? JSON.stringify(parseError(frame.payload)) : frame.payload.toString().slice(0, 200);
    throw new Error(`expected ${type} on ${stream}, got ${frame.type} on ${frame.stream}: ${about}`);
  }

  async ready() {
    await this.expect("HELLO");
    await this.expect("READY");
    this.credit = (await this.expect("CREDIT")).payload.readUInt32LE(0);
    return this;
  }

  /** A RESULT or ITEM_RESULT with all of its DATA. */
  async whole(type, stream) {
    const frame = await this.expect(type, stream);
    if (frame.flags & FAILED) return parseError(frame.payload);
    const answer = { ...parseBlock(frame.payload), parts: [], isStream: (frame.flags & STREAM) !== 0, stream: frame.stream };
    for (let { flags } = frame; flags & MORE;) {
      const more = await this.expect("DATA", frame.stream);
      answer.parts.push(more.payload);
      flags = more.flags;
    }
    if (answer.parts.length > 0) answer.data = Buffer.concat([answer.data, ...answer.parts]);
    if (!answer.isStream && answer.size !== (answer.data?.length ?? 0)) throw new Error(`${answer.size} bytes announced`);
    answer.value = answer.attributes.datacontenttype === "application/json" ? JSON.parse(answer.data.toString()) : answer.data?.toString() ?? null;
    return answer;
  }

  result(stream) { return this.whole("RESULT", stream); }
  async error(stream) { return parseError((await this.expect("ERROR", stream)).payload); }

  async drain() {
    this.send("DRAIN");
    await this.expect("BYE");
    return this.exit;
  }

  async close() {
    this.process.kill("SIGKILL");
    await this.exit;
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
