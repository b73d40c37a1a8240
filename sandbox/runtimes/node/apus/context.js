"use strict";
// What a handler is told about its invocation, and what it may ask of the platform while it runs.
const { Event } = require("./event.js");
const { NotAvailable } = require("./errors.js");
const { BLOCK_BYTES, LEVEL, LIMIT, TYPE, clip, frame } = require("./wire.js");

/** One attempt. `invocation` is the same for every attempt of one delivery, `attempt` counts from 1. */
class Context {
  #deadline;
  #event;
  #isCancelled = false;
  #controller = null;
  #log = null;
  // Of session and stream the runtime's own files make use; 0 once the attempt is answered: nothing may be said on its stream any more.
  #session;
  #stream;
  #emitted = { count: 0, bytes: 0 };

  constructor(session, stream, deadline, event) {
    this.#session = session;
    this.#stream = stream;
    this.#deadline = deadline;
    this.#event = event;
  }

  static streamOf(context) { return context.#stream; }
  static close(context) { context.#stream = 0n; }

  static cancel(context) {
    context.#isCancelled = true;
    context.#controller?.abort();
  }

  static isMarked(context) { return context.#isCancelled; }

  /** 32 hexadecimal digits. */
  get invocation() { return this.#event.invocation(); }
  get attempt() { return this.#event.attempt(); }
  get function() { return this.#session.configuration.function; }

  /** A Date, null for none. See `remaining` for seconds. */
  get deadline() { return this.#deadline === 0n ? null : new Date(Number(this.#deadline / 1000n)); }

  /** Seconds until the deadline, never negative; Infinity without one. */
  get remaining() {
    if (this.#deadline === 0n) return Infinity;
    return Math.max(0, (Number(this.#deadline) / 1000 - Date.now()) / 1000);
  }

  /** The W3C traceparent of this attempt, where its trace is recorded; else the one that came with the event, or undefined. */
  get trace() {
    // The header is the last hop. The attribute says where the trace began, and is the producer's.
    const header = this.#event.headers.find(([name]) => name === "traceparent");
    return header ? header[1].toString("latin1") : this.#event.attributes.traceparent;
  }

  /** Whether the platform no longer wants the result: the deadline is near, or the caller has left. */
  get cancelled() {
    if (!this.#isCancelled) this.#session.lookAhead();
    return this.#isCancelled;
  }

  /** The same as an AbortSignal, for what takes one: `timers/promises`, streams, events. */
  get signal() {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#isCancelled) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  get log() { return (this.#log ??= new Log(this.#session, this)); }

  /** Reports how far the work is. `total` null or 0: unknown. */
  progress(done, total = 0, message = "") {
    const counts = [done, total ?? 0].map((value) => Math.floor(Number(value)));
    if (!counts.every((value) => Number.isSafeInteger(value) && value >= 0)) {
      throw new RangeError(`progress(${done}, ${total}): expected numbers from 0`);
    }
    const head = Buffer.allocUnsafe(16);
    counts.forEach((value, index) => head.writeBigUInt64LE(BigInt(value), 8 * index));
    this.#session.send(frame(TYPE.PROGRESS, Buffer.concat([head, clip(message ?? "", LIMIT.message)]), this.#openStream()));
  }

  /**
   * Publishes an event when, and only when, this attempt succeeds, in one with its reply. `topic` is one of the function's `emits`
   * or a `replyTo`; `data` may be an apus.Event; options are those of an Event: `key`, `type`, `attributes`, ...
   */
  emit(topic, data = null, options = undefined) {
    if (data instanceof Event && options !== undefined) {
      throw new TypeError("emit(topic, event): give key and attributes to the event itself");
    }
    const name = Buffer.from(typeof topic === "string" ? topic : "");
    if (name.length === 0 || name.length > LIMIT.topic) throw new TypeError(`emit(${topic}, ...): expected the name of a topic`);
    const event = data instanceof Event ? data : new Event(data, options);
    const { key, attributes, data: raw } = event.block();
    const size = BLOCK_BYTES + (key?.length ?? 0) + attributes.length + (raw?.length ?? 0);
    if (size > LIMIT.event) throw new RangeError(`the event has ${size} bytes; at most ${LIMIT.event} are allowed`);
    if (this.#emitted.count >= LIMIT.emits || this.#emitted.bytes + size > LIMIT.emitBytes) {
      throw new RangeError(`one attempt may emit at most ${LIMIT.emits} events of ${LIMIT.emitBytes} bytes together`);
    }
    const prefix = Buffer.allocUnsafe(2);
    prefix.writeUInt16LE(name.length);
    const { blockFrames } = require("./replies.js");
    this.#session.queue(blockFrames(TYPE.EMIT, this.#openStream(), Buffer.concat([prefix, name]), { key, attributes, data: raw }));
    this.#emitted.count += 1;
    this.#emitted.bytes += size;
  }

  #openStream() {
    if (this.#stream === 0n) {
      throw new NotAvailable("the invocation has been answered: emit and report progress before the handler returns");
    }
    return this.#stream;
  }

  /** The text of a secret that the manifest lists under `secrets`. */
  secret(name) { return this.#session.secrets.get(name); }
}

/** The context of a batch. It has one deadline, the earliest; `items` has a context for each event. */
class BatchContext extends Context {
  constructor(session, items, deadline, event) {
    super(session, Context.streamOf(items[0]), deadline, event);
    this.items = items;
  }

  emit() {
    throw new NotAvailable("an emitted event belongs to one event of the batch: use context.items[n].emit(...)");
  }
}

/** Lines of the function's log, attributed to the attempt: `context.log.info("took %d rows", n)`. */
class Log {
  #session;
  #context;

  constructor(session, context) {
    this.#session = session;
    this.#context = context;
  }

  #write(level, values) {
    const { format } = require("util");
    const text = clip(format(...values), LIMIT.log);
    this.#session.send(frame(TYPE.LOG, Buffer.concat([Buffer.of(level), text]), Context.streamOf(this.#context)));
  }

  debug(...values) { this.#write(LEVEL.DEBUG, values); }
  info(...values) { this.#write(LEVEL.INFO, values); }
  warning(...values) { this.#write(LEVEL.WARNING, values); }
  warn(...values) { this.#write(LEVEL.WARNING, values); }
  error(...values) { this.#write(LEVEL.ERROR, values); }
}

module.exports = { BatchContext, Context };
