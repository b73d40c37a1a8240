"use strict";
// The session of one worker: HELLO, loading, invocations, hooks, the end.
const { Channel } = require("./channel.js");
const { Invocations } = require("./invocations.js");
const { Secrets } = require("./secrets.js");
const { ProtocolError } = require("./errors.js");
const { FAILURE, FEATURE, FLAG, TYPE, VERSION, frame, u32 } = require("./wire.js");

const HOOK_OF = { [TYPE.DRAIN]: "stop", [TYPE.SLEEP]: "sleep", [TYPE.WAKE]: "wake" };
const exit = process.exit.bind(process);

class Session {
  configuration = {};
  secrets;
  #channel;
  #invocations = null;
  #arrivals = null;
  #module = null;
  // A hook runs or the handler is being loaded: frames wait for its end.
  #isHeld = false;
  #isDraining = false;
  #isHandling = false;

  constructor(input, output, secrets) {
    this.#channel = new Channel(input, output, () => this.#handleFrames(), (isClean) => this.#end(isClean ? 0 : 1));
    this.secrets = new Secrets(secrets);
  }

  run() {
    // A handler that calls it would take every other invocation of this worker along.
    process.exit = (code) => {
      throw new Error(`the handler called process.exit(${code ?? ""}): return a result or throw an error instead`);
    };
    process.on("uncaughtException", (error) => this.#uncaught(error));
    const name = Buffer.from(`node ${process.versions.node}`);
    const hello = Buffer.alloc(10);
    hello.writeUInt16LE(VERSION, 0);
    hello.writeUInt16LE(VERSION, 2);
    // No descriptors: Node cannot receive them. All data comes in DATA frames.
    hello.writeUInt32LE(FEATURE.BATCH | FEATURE.SLEEP | FEATURE.STREAMS, 4);
    hello.writeUInt16LE(name.length, 8);
    this.send(frame(TYPE.HELLO, Buffer.concat([hello, name])));
    this.#channel.open();
  }

  // Frames.

  #handleFrames() {
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      while (!this.#isHeld) {
        const one = this.#channel.next();
        if (one === null) break;
        this.#handle(one);
      }
    } catch (error) {
      this.#uncaught(error);
    } finally {
      this.#isHandling = false;
    }
  }

  #handle({ type, flags, stream, deadline, payload }) {
    if (type === TYPE.CANCEL) this.#invocations?.cancel([stream]);
    else if (type === TYPE.PING) {
      if (!(flags & FLAG.ANSWER)) this.send(frame(TYPE.PING, payload, stream, FLAG.ANSWER));
    } else if (type === TYPE.INIT && this.#invocations === null) this.#hold(this.#initialize(payload));
    else if (type === TYPE.DRAIN) this.#drain();
    else if (type === TYPE.SLEEP || type === TYPE.WAKE) this.#hold(this.#runHook(type));
    else if (type === TYPE.BYE) this.#end(0);
    else if (this.#invocations === null) throw new ProtocolError(`a frame of type ${type} before INIT`);
    else if (type === TYPE.INVOKE || type === TYPE.BATCH || type === TYPE.DATA) {
      const work = this.#arrivals.frame(type, flags, stream, deadline, payload);
      if (work !== null) this.#invocations.start(work);
    } else throw new ProtocolError(`a frame of type ${type}, which a worker does not receive`);
  }

  /** Handles no frame before this is over. */
  #hold(work) {
    this.#isHeld = true;
    work.then(() => {
      this.#isHeld = false;
      this.#handleFrames();
    }).catch((error) => this.#uncaught(error));
  }

  // The function.

  async #initialize(raw) {
    try {
      this.configuration = JSON.parse(raw.toString());
      if (typeof this.configuration !== "object" || this.configuration === null) throw new SyntaxError("it is no object");
    } catch (error) {
      throw new ProtocolError(`INIT is not JSON: ${error.message}`);
    }
    const { triggers, concurrency, batch } = this.configuration;
    const { Arrivals } = require("./arrivals.js");
    this.#arrivals = new Arrivals(triggers ?? []);
    const count = Math.max(1, Number(concurrency) || 1);
    let handler;
    try {
      ({ module: this.#module, handler } = await require("./loader.js").load(this.configuration));
    } catch (error) {
      return this.#refuse(error.message, error.detail);
    }
    this.#invocations = new Invocations(this, handler, { takesBatches: Boolean(batch), concurrency: count });
    try {
      await this.#hook("start")?.();
    } catch (error) {
      const { describe, trace } = require("./failures.js");
      return this.#refuse(`start() failed: ${describe(error)}`, trace(error));
    }
    await require("./warmup.js").warmUp();
    this.send(Buffer.concat([frame(TYPE.READY), frame(TYPE.CREDIT, u32(count))]));
  }

  #hook(name) {
    const hook = this.#module?.[name] ?? this.#module?.default?.[name];
    return typeof hook === "function" ? hook : undefined;
  }

  #refuse(message, detail = "") {
    const { payload } = require("./failures.js");
    this.send(frame(TYPE.ERROR, payload(FAILURE.PERMANENT, "start_failed", message, detail)));
    this.#end(1);
  }

  async #runHook(type) {
    const name = HOOK_OF[type];
    try {
      await this.#hook(name)?.();
    } catch (error) {
      const { describe, trace } = require("./failures.js");
      console.error(`apus: ${name}() failed\n${trace(error)}`);
      if (type !== TYPE.DRAIN) return this.#refuse(`${name}() failed: ${describe(error)}`, trace(error));
    }
    if (type !== TYPE.DRAIN) this.send(frame(type, undefined, 0n, FLAG.ANSWER));
  }

  /** Nothing new comes; CANCEL may, for what the end waits for. */
  #drain() {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const finish = async () => {
      await this.#invocations?.drained();
      await this.#runHook(TYPE.DRAIN);
      this.send(frame(TYPE.BYE));
      this.#end(0);
    };
    finish().catch((error) => this.#uncaught(error));
  }

  // What the parts of the runtime ask of it.

  /** Frames that may wait for the end of the turn. */
  queue(frames) { this.#write(() => this.#channel.queue(frames)); }

  /** A frame that must not wait; what was queued goes before it. */
  send(raw) {
    this.#write(() => {
      this.#channel.queue([raw]);
      this.#channel.flush();
    });
  }

  #write(body) {
    try {
      body();
    } catch (error) {
      // The server has gone.
      if (error.code === "EPIPE") this.#end(1);
      throw error;
    }
  }

  /** Looks for CANCEL frames while a handler runs that does not wait for anything. */
  lookAhead() { this.#invocations.cancel(this.#channel.lookAhead()); }

  // The end.

  /** An error that no handler caught: what it left behind nobody knows. */
  #uncaught(error) {
    if (error instanceof ProtocolError) {
      console.error(`apus: the server broke the worker protocol: ${error.message}`);
      return this.#end(70);
    }
    try {
      const jobs = this.#invocations?.jobs ?? [];
      for (const job of jobs) this.#invocations.fail(job, error);
      const { describe, trace } = require("./failures.js");
      console.error(`apus: an error that nothing caught ends this worker: ${describe(error)}\n${trace(error)}`);
      this.#channel.flush();
    } finally {
      this.#end(1);
    }
  }

  #end(code) {
    try {
      this.#channel.flush();
    } catch {
      // The server has gone, and with it whoever would read the rest.
    }
    exit(code);
  }
}

module.exports = { Session };
