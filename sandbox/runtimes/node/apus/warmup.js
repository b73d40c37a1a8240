"use strict";
// One event through the runtime's own code, with a handler and a server that do nothing. V8 compiles a function when it is first
// called: without this the first event of each worker would wait for it, and a worker that serves only one has no second.
const { Arrivals } = require("./arrivals.js");
const { Invocations } = require("./invocations.js");
const { ABSENT, BLOCK_BYTES, INVOKE_HEAD_BYTES, TYPE } = require("./wire.js");

const ATTRIBUTES = Buffer.from("\x0f\x00\x10\x00datacontenttypeapplication/json", "latin1");
const DATA = Buffer.from('{"warm":true}');

async function warmUp() {
  const head = Buffer.alloc(INVOKE_HEAD_BYTES + BLOCK_BYTES);
  head.writeUInt32LE(ABSENT, 4);
  head.writeUInt32LE(ABSENT, INVOKE_HEAD_BYTES + 8);
  head.writeUInt32LE(ATTRIBUTES.length, INVOKE_HEAD_BYTES + 12);
  head.writeUInt32LE(DATA.length, INVOKE_HEAD_BYTES + 16);
  const nobody = { configuration: {}, queue() {}, send() {} };
  const invocations = new Invocations(nobody, async (event) => event.data, { takesBatches: false, concurrency: 1 });
  invocations.start(new Arrivals([]).frame(TYPE.INVOKE, 0, 1n, 0n, Buffer.concat([head, ATTRIBUTES, DATA])));
  await invocations.drained();
}

module.exports = { warmUp };
