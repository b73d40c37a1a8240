"use strict";
// What a handler prints, with the invocation that printed it. With one invocation at a time the server knows whose a line is; with
// several only the worker does, by the asynchronous context that a line comes from.
const { AsyncLocalStorage } = require("async_hooks");
const { LEVEL, LIMIT, TYPE, clip, frame } = require("./wire.js");

class Output {
  #storage = new AsyncLocalStorage();
  #session;
  // Of each job that printed the start of a line: the rest of it is to come.
  #lines = new Map();

  constructor(session) {
    this.#session = session;
    for (const [stream, level] of [[process.stdout, LEVEL.STDOUT], [process.stderr, LEVEL.STDERR]]) this.#take(stream, level);
  }

  #take(stream, level) {
    const write = stream.write.bind(stream);
    stream.write = (chunk, encoding, done) => {
      const job = this.#storage.getStore();
      if (job === undefined || job.isAnswered) return write(chunk, encoding, done);
      const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      this.#print(job, level, text);
      const callback = typeof encoding === "function" ? encoding : done;
      if (callback !== undefined) process.nextTick(callback);
      return true;
    };
  }

  #print(job, level, text) {
    const begun = this.#lines.get(job) ?? {};
    const lines = ((begun[level] ?? "") + text).split("\n");
    // A line without an end is cut where a line is.
    const rest = lines.at(-1).length < LIMIT.log ? lines.pop() : "";
    begun[level] = rest;
    this.#lines.set(job, begun);
    for (const line of lines) this.#log(job, level, line);
  }

  #log(job, level, line) {
    if (line === "") return;
    this.#session.send(frame(TYPE.LOG, Buffer.concat([Buffer.of(level), clip(line, LIMIT.log)]), job.stream));
  }

  run(job, body) { return this.#storage.run(job, body); }

  /** A job is about to be answered: lines that have no end are lines now. */
  finish(job) {
    const begun = this.#lines.get(job);
    if (begun === undefined) return;
    this.#lines.delete(job);
    for (const [level, line] of Object.entries(begun)) this.#log(job, Number(level), line);
  }
}

module.exports = { Output };
