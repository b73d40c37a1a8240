"use strict";
// Runs the handler and answers: one job for each call of it.
const { BatchContext, Context } = require("./context.js");
const { FLAG, TYPE, frame } = require("./wire.js");
const { PartWriter, isStream, resultFrames } = require("./replies.js");
const { Response } = require("./http.js");

/** One call of the handler: its argument, and the streams that wait for an answer. */
class Job {
  isAnswered = false;

  constructor(session, { items, deadline, isBatch }, takesBatches) {
    const contexts = items.map(({ stream, event }) => new Context(session, stream, deadline, event));
    this.stream = items[0].stream;
    this.streams = items.map(({ stream }) => stream);
    this.isBatch = isBatch;
    // A single event for a handler of batches.
    this.isWrapped = takesBatches && !isBatch;
    this.isTable = items[0].event.table;
    this.contexts = contexts;
    this.argument = takesBatches ? items.map(({ event }) => event) : items[0].event;
    this.context = takesBatches ? new BatchContext(session, contexts, deadline, items[0].event) : contexts[0];
  }

  /** Marks the events that nobody wants any more; a batch as a whole when all of them are. */
  cancel(streams) {
    this.contexts.forEach((context, index) => {
      if (streams.includes(this.streams[index])) Context.cancel(context);
    });
    if (this.context !== this.contexts[0] && this.contexts.every(Context.isMarked)) Context.cancel(this.context);
  }

  /** Its final frame is next: what is left of the handler may no longer speak for it. */
  close() {
    this.isAnswered = true;
    for (const context of [this.context, ...this.contexts]) Context.close(context);
  }
}

class Invocations {
  #session;
  #handler;
  #takesBatches;
  #output = null;
  #running = new Map();
  // Records of a table are taken in one after the other.
  #tables = Promise.resolve();
  #waiters = [];

  constructor(session, handler, { takesBatches, concurrency }) {
    this.#session = session;
    this.#handler = handler;
    this.#takesBatches = takesBatches;
    if (concurrency > 1) this.#output = new (require("./output.js").Output)(session);
  }

  get jobs() { return new Set(this.#running.values()); }

  start(work) {
    const job = new Job(this.#session, work, this.#takesBatches);
    for (const stream of job.streams) this.#running.set(stream, job);
    if (job.isTable) this.#tables = this.#tables.then(() => this.#run(job));
    else this.#run(job);
  }

  cancel(streams) {
    for (const stream of streams) this.#running.get(stream)?.cancel(streams);
  }

  /** Resolves when nothing runs. */
  async drained() {
    while (this.#running.size > 0) await new Promise((resolve) => this.#waiters.push(resolve));
  }

  #run(job) { return this.#output === null ? this.#call(job) : this.#output.run(job, () => this.#call(job)); }

  /** Calls the handler; returns a promise where it, or its result, has to be waited for. */
  #call(job) {
    let result;
    try {
      const handler = this.#handler;
      result = handler(job.argument, job.context);
    } catch (error) {
      return this.fail(job, error);
    }
    if (typeof result?.then === "function") return this.#wait(job, result);
    if (this.#partsOf(result) !== null) return this.#stream(job, result);
    this.#finish(job, result);
  }

  async #wait(job, promise) {
    try {
      const result = await promise;
      if (this.#partsOf(result) !== null) await this.#stream(job, result);
      else this.#finish(job, result);
    } catch (error) {
      this.fail(job, error);
    }
  }

  /** The parts of a result that is a stream, null where it is none. */
  #partsOf(result) {
    if (result instanceof Response) return isStream(result.body) ? result.body : null;
    return isStream(result) ? result : null;
  }

  async #stream(job, result) {
    const parts = this.#partsOf(result);
    try {
      if (job.isBatch || job.isWrapped) {
        const all = [];
        for await (const part of parts) all.push(part);
        return this.#finish(job, all);
      }
      const writer = new PartWriter(this.#session, job.stream, result instanceof Response ? result : undefined);
      for await (const part of parts) {
        // What was answered meanwhile, by an error outside of the handler, has no stream any more.
        if (job.isAnswered) return;
        writer.part(part);
        if (job.context.cancelled) {
          const error = new Error("cancelled");
          error.name = "AbortError";
          throw error;
        }
      }
      if (!job.isAnswered) this.#answer(job, writer.end());
    } catch (error) {
      this.fail(job, error);
    }
  }

  #finish(job, result) {
    if (job.isAnswered) return;
    let frames;
    try {
      frames = job.isBatch ? this.#batchFrames(job, result) : resultFrames(TYPE.RESULT, job.stream, job.isWrapped ? only(result) : result);
    } catch (error) {
      return this.fail(job, error);
    }
    this.#answer(job, frames);
  }

  #batchFrames(job, results) {
    return listed(results, job.streams.length).flatMap((result, index) => {
      const stream = job.streams[index];
      try {
        if (result instanceof Error) throw result;
        return resultFrames(TYPE.ITEM_RESULT, stream, result);
      } catch (error) {
        return [frame(TYPE.ITEM_RESULT, failures().ofHandler(error, Context.isMarked(job.contexts[index])), stream, FLAG.FAILED)];
      }
    });
  }

  /** Answers with what was thrown. */
  fail(job, error) {
    if (job.isAnswered) return;
    const payload = failures()[job.isBatch ? "ofBatch" : "ofHandler"](error, Context.isMarked(job.context));
    const [type, flags] = job.isBatch ? [TYPE.ITEM_RESULT, FLAG.FAILED] : [TYPE.ERROR, 0];
    this.#answer(job, job.streams.map((stream) => frame(type, payload, stream, flags)));
  }

  #answer(job, frames) {
    this.#output?.finish(job);
    job.close();
    for (const stream of job.streams) this.#running.delete(stream);
    this.#session.queue(frames);
    if (this.#running.size === 0) this.#waiters.splice(0).forEach((resolve) => resolve());
  }
}

const failures = () => require("./failures.js");

function only(results) {
  const [result] = listed(results, 1);
  if (result instanceof Error) throw result;
  return result;
}

/** The results of a batch as an array of the right length. */
function listed(results, count) {
  if (!Array.isArray(results)) throw new TypeError(`with batch, the handler returns an array of ${count} results, not a ${typeof results}`);
  if (results.length !== count) throw new TypeError(`the handler returned ${results.length} results for ${count} events`);
  return results;
}

module.exports = { Invocations };
