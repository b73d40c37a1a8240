// Starting, ending, waiting, large data, and a server that does not keep to the protocol.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ANSWER, DESCRIPTOR, ECHO, FakeServer, MORE, TABLE, batchOf, block, encode, invokeHead, parseError } from "./fake-server.mjs";

const started = (test, source = ECHO, more = {}) => new FakeServer(test, source, more).ready();

test("HELLO comes before anything is asked", async (t) => {
  const server = new FakeServer(t, ECHO, { initialize: false });
  const { payload, stream } = await server.expect("HELLO", 0);
  assert.deepEqual([payload.readUInt16LE(0), payload.readUInt16LE(2), payload.readUInt32LE(4), stream], [1, 1, 14, 0]);
  assert.equal(payload.readUInt16LE(8), payload.length - 10);
  assert.equal(payload.toString("utf8", 10), `node ${process.versions.node}`);
});

test("the documented session is spoken byte by byte", async (t) => {
  const server = await started(t, "export function handle(event) { return { length: event.raw.length }; }\n");
  server.write(Buffer.from(
    "6000000010000100050000000000000000402046484706000100000000000000020000000000000007000000000000008877665544332211" +
    "00ffeeddccbbaa990000000000000000020000001c00000002000000000000006b3104001400" +
    "74797065636f6d2e6578616d706c652e6772656574696e676869", "hex"));
  const { raw } = await server.expect("RESULT", 5);
  assert.equal(raw.toString("hex"),
    "4700000013000100050000000000000000000000000000000000000000000000ffffffff230000000c000000000000000f001000" +
    "64617461636f6e74656e74747970656170706c69636174696f6e2f6a736f6e7b226c656e677468223a327d");
  server.send("DRAIN");
  assert.equal((await server.expect("BYE")).raw.toString("hex"), "000000000700010000000000000000000000000000000000");
  assert.equal(await server.exit, 0);
});

test("READY brings as much credit as the concurrency", async (t) => {
  for (const concurrency of [1, 7]) {
    const server = await started(t, ECHO, { concurrency });
    assert.equal(server.credit, concurrency);
    assert.equal(await server.drain(), 0);
  }
});

const COMMONJS = { "main.js": "exports.handle = (event) => event.data;" };
for (const [about, source, handler, part] of [
  ["no function", ECHO, "main", "is not of the form module:function"],
  ["an empty function", ECHO, "main:", "is not of the form module:function"],
  ["a way out of the bundle", ECHO, "../main:handle", "is not of the form module:function"],
  ["no such file", ECHO, "other:handle", "there is no other.mjs, other.js, other.cjs in the function's source, which has: main.mjs"],
  ["a misspelt function", ECHO, "main:handel", "did you mean 'main:handle'"],
  ["a misspelt function of CommonJS", COMMONJS, "main:handel", "did you mean 'main:handle'"],
  ["no function at all", "export const x = 1;", "main:handle", "and no other function"],
  ["a number", "export const handle = 1;", "main:handle", "is a number, not a function"],
  ["three parameters", "export function handle(a, b, c) {}", "main:handle", "takes 3 parameters"],
  ["an unknown package", 'import "nowhere-to-be-found";' + ECHO, "main:handle", "imports 'nowhere-to-be-found', which is neither"],
  ["an unknown package of CommonJS", { "main.cjs": 'require("nowhere")' }, "main:handle", "imports 'nowhere', which is neither"],
  ["a syntax error", "export function handle( {\n", "main:handle", "main.mjs:"],
  ["an import that throws", "null.x;\n" + ECHO, "main:handle", "importing main failed: TypeError"],
  ["a package.json that is none", { "main.js": "", "package.json": "{" }, "main:handle", "is no JSON"],
  ["start() that throws", "export function start() { throw new Error('no'); }\n" + ECHO, "main:handle", "start() failed: Error: no"],
]) {
  test(`what cannot be loaded says what to change: ${about}`, async (t) => {
    const server = new FakeServer(t, source, { handler });
    await server.expect("HELLO");
    const failure = await server.error(0);
    assert.deepEqual([failure.kind, failure.code], ["permanent", "start_failed"]);
    assert.ok(failure.message.includes(part), failure.message);
    assert.equal(await server.exit, 1);
  });
}

test("an export in CommonJS works where Node can tell, and else says what to change", async (t) => {
  const server = new FakeServer(t, { "main.js": ECHO });
  await server.expect("HELLO");
  if (process.features.require_module) await server.expect("READY");
  else assert.ok((await server.error(0)).message.includes('main.mjs, or its package.json has "type": "module"'));
});

for (const [about, files, handler] of [
  ["CommonJS", COMMONJS, "main:handle"],
  ["CommonJS by name", { "main.cjs": "module.exports = { handle: (event) => event.data };" }, "main:handle"],
  ["an ES module by package.json", { "main.js": ECHO, "package.json": '{"type": "module"}' }, "main:handle"],
  ["a nested function of a nested file", { "lib/a.mjs": "export const api = { handle: (event) => event.data };" }, "lib/a:api.handle"],
  ["the default export", "export default (event) => event.data;", "main:default"],
  ["a dependency in node_modules", {
    "main.mjs": 'import one from "one"; import { two } from "two"; export const handle = (event) => one(two(event.data));',
    "node_modules/one/index.js": "module.exports = (value) => value;",
    "node_modules/two/package.json": '{"name": "two", "type": "module", "exports": "./two.js"}',
    "node_modules/two/two.js": "export const two = (value) => value;",
  }, "main:handle"],
]) {
  test(`a function may be ${about}`, async (t) => {
    const server = await started(t, files, { handler });
    server.invokeJSON(1, { a: 1 });
    assert.deepEqual((await server.result(1)).value, { a: 1 });
  });
}

test("hooks run at the start, asleep, awake and at the end", async (t) => {
  const server = await started(t, `
    const log = [];
    export async function start() { await null; log.push("start"); }
    export function sleep() { log.push("sleep"); }
    export function wake() { log.push("wake"); }
    export async function stop() { console.log("stopped"); }
    export function handle() { return log; }`);
  for (const type of ["SLEEP", "WAKE"]) {
    server.send(type);
    assert.equal((await server.expect(type, 0)).flags, ANSWER);
  }
  server.invoke(1);
  assert.deepEqual((await server.result(1)).value, ["start", "sleep", "wake"]);
  assert.equal(await server.drain(), 0);
  assert.equal(server.printed, "stopped\n");
});

test("a hook that fails is an error on stream 0", async (t) => {
  const server = await started(t, "export function sleep() { throw new Error('tired'); }\n" + ECHO);
  server.send("SLEEP");
  assert.match((await server.error(0)).message, /sleep\(\) failed: Error: tired/);
});

test("PING is answered with its payload", async (t) => {
  const server = await started(t);
  server.send("PING", Buffer.from("are you there"));
  const answer = await server.expect("PING", 0);
  assert.deepEqual([answer.flags, answer.payload.toString()], [ANSWER, "are you there"]);
});

test("DRAIN waits for what runs, and CANCEL still reaches it", async (t) => {
  const server = await started(t, `
    import { setTimeout } from "node:timers/promises";
    export async function handle(event, context) { await setTimeout(60_000, null, { signal: context.signal }); }`);
  server.invoke(1);
  server.send("DRAIN");
  server.send("CANCEL", undefined, { stream: 1 });
  assert.equal((await server.error(1)).code, "cancelled");
  await server.expect("BYE");
  assert.equal(await server.exit, 0);
});

test("DRAIN before INIT ends the worker", async (t) => {
  const server = new FakeServer(t, ECHO, { initialize: false });
  await server.expect("HELLO");
  assert.equal(await server.drain(), 0);
});

test("a server that goes away ends the worker, in the middle of a frame with code 1", async (t) => {
  for (const [rest, code] of [["", 0], ["abc", 1]]) {
    const server = await started(t);
    server.write(Buffer.from(rest));
    server.process.stdio[3].end();
    assert.equal(await server.exit, code);
  }
});

test("data comes in parts, between them other frames", async (t) => {
  const server = await started(t, "export const handle = (event) => event.data.length;", { concurrency: 2 });
  const data = Buffer.alloc(1_000_000, "x");
  server.send("INVOKE", Buffer.concat([invokeHead(), block(data.subarray(0, 1000), { size: data.length })]), { stream: 1, flags: MORE });
  server.invoke(2, "four");
  for (let at = 1000; at < data.length; at += 60_000) {
    server.send("DATA", data.subarray(at, at + 60_000), { stream: 1, flags: at + 60_000 < data.length ? MORE : 0 });
  }
  assert.equal((await server.result(2)).value, 4);
  assert.equal((await server.result(1)).value, 1_000_000);
});

test("large results go out in parts", async (t) => {
  const server = await started(t, "export const handle = (event) => Buffer.alloc(Number(event.data), 'y');");
  for (const size of [0, 1, 65_000, 65_536, 1_000_001, 16 << 20, 64 << 20]) {
    server.invoke(size + 1, String(size));
    const { data } = await server.result(size + 1);
    assert.ok(data.length === size && data.every((byte) => byte === 0x79));
  }
  server.invoke(9, String((64 << 20) + 1));
  assert.equal((await server.error(9)).code, "result_too_large");
});

test("many small frames of one write are all answered, in order", async (t) => {
  const server = await started(t, ECHO, { concurrency: 64 });
  const frames = [];
  for (let stream = 1; stream <= 2000; stream++) {
    frames.push(encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from(String(stream)))]), { stream }));
  }
  server.write(Buffer.concat(frames));
  for (let stream = 1; stream <= 2000; stream++) assert.equal((await server.result(stream)).value, String(stream));
});

test("frames that come byte by byte are frames", async (t) => {
  const server = await started(t);
  const raw = encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from("slow"))]), { stream: 7 });
  for (const byte of raw) {
    server.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  assert.equal((await server.result(7)).value, "slow");
});

test("frames of the largest size are taken", async (t) => {
  const server = await started(t, "export const handle = (event) => event.data.length;");
  const size = 262_120 - 40 - 24;
  for (const stream of [1, 2]) {
    server.invoke(stream, Buffer.alloc(size));
    assert.equal((await server.result(stream)).value, size);
  }
});

const INVOKE = Buffer.concat([invokeHead(), block(Buffer.from("x"))]);
const wrongLength = (at, value) => {
  const raw = Buffer.from(INVOKE);
  raw.writeUInt32LE(value, at);
  return raw;
};
for (const [about, ...frames] of [
  ["an unknown type", encode(99)],
  ["a type that only workers send", encode("RESULT", INVOKE, { stream: 1 })],
  ["another version", encode("PING", undefined, { version: 2 })],
  ["an unknown flag", encode("PING", undefined, { flags: 64 })],
  ["a length over the bound", Buffer.concat([Buffer.from("f9ff0300", "hex"), Buffer.alloc(20, 1)])],
  ["an INVOKE without an event", encode("INVOKE", Buffer.alloc(63), { stream: 1 })],
  ["a key longer than the frame", encode("INVOKE", wrongLength(48, 900), { stream: 1 })],
  ["attributes longer than the frame", encode("INVOKE", wrongLength(52, 900), { stream: 1 })],
  ["attributes that end inside one", encode("INVOKE", wrongLength(52, 1), { stream: 1 })],
  ["more data than was said", encode("INVOKE", wrongLength(56, 0), { stream: 1 })],
  ["less data than was said", encode("INVOKE", wrongLength(56, 2), { stream: 1 })],
  ["a descriptor, which was not offered", encode("INVOKE", INVOKE, { stream: 1, flags: DESCRIPTOR })],
  ["DATA that nobody expects", encode("DATA", Buffer.from("x"), { stream: 3 })],
  ["a second INIT", encode("INIT", Buffer.from("{}"))],
  ["a BATCH without a head", encode("BATCH", Buffer.alloc(7))],
  ["a BATCH of none", encode("BATCH", Buffer.alloc(8))],
  ["a BATCH of more than it holds", encode("BATCH", Buffer.concat([Buffer.from("ffffffff00000000", "hex"), Buffer.alloc(16)]))],
  ["a BATCH with bytes behind it", encode("BATCH", Buffer.concat([batchOf([[1, block(Buffer.from("x"))]]), Buffer.of(0)]))],
  ["parts that are too many", encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from("x"), { size: 2 })]), { stream: 1, flags: MORE }),
    encode("DATA", Buffer.from("xx"), { stream: 1 })],
  ["parts that are too few", encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from("x"), { size: 9 })]), { stream: 1, flags: MORE }),
    encode("DATA", Buffer.from("xx"), { stream: 1 })],
]) {
  test(`a server that breaks the protocol ends the worker: ${about}`, async (t) => {
    const server = await started(t);
    server.write(Buffer.concat(frames));
    assert.equal(await server.exit, 70);
    assert.match(server.printed, /^apus: the server broke the worker protocol: /);
  });
}

test("INIT that is no JSON, or work before it, breaks the protocol", async (t) => {
  for (const [type, payload] of [["INIT", "{"], ["INIT", "null"], ["INVOKE", INVOKE]]) {
    const server = new FakeServer(t, ECHO, { initialize: false });
    await server.expect("HELLO");
    server.send(type, Buffer.from(payload), { stream: 1 });
    assert.equal(await server.exit, 70);
  }
});

test("at most 1024 events arrive at a time", async (t) => {
  const server = await started(t);
  const open = (stream) => encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from("x"), { size: 2 })]), { stream, flags: MORE });
  for (let stream = 1; stream <= 1024; stream++) server.write(open(stream));
  server.send("PING");
  await server.expect("PING");
  server.write(open(1025));
  assert.equal(await server.exit, 70);
});

test("random bytes end the worker, whatever they are", async (t) => {
  let seed = 12345;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff);
  for (let round = 0; round < 10; round++) {
    const server = await started(t);
    const noise = Buffer.from(Array.from({ length: 4000 }, () => random() >> 16 & 255));
    // A length that is allowed would make it wait for the rest of a frame.
    noise.writeUInt32LE(0xffff_ffff, 0);
    server.write(noise);
    assert.equal(await server.exit, 70);
  }
});

test("records of a table are handled one after the other", async (t) => {
  const server = await started(t, `
    import { setTimeout } from "node:timers/promises";
    const seen = [];
    export async function handle(event) {
      if (!event.table) return seen;
      await setTimeout(event.offset === 1 ? 20 : 0);
      seen.push(event.offset);
    }`, { triggers: [{ name: "t", topic: "names", table: true }] });
  for (const offset of [1, 2, 3]) server.invoke(offset, "x", { flags: TABLE, trigger: 0, offset });
  for (const stream of [1, 2, 3]) await server.result(stream);
  server.invoke(4);
  assert.deepEqual((await server.result(4)).value, [1, 2, 3]);
});

test("an error that nothing caught fails what runs, with its stack, and ends the worker", async (t) => {
  const server = await started(t, `
    export function handle(event) {
      setTimeout(function later() { throw new Error("too late"); }, 1);
      return new Promise(() => {});
    }`);
  server.invoke(1);
  const failure = parseError((await server.expect("ERROR", 1)).payload);
  assert.deepEqual([failure.kind, failure.message], ["retryable", "Error: too late"]);
  assert.match(failure.detail, /main\.mjs:3/);
  assert.equal(await server.exit, 1);
  assert.match(server.printed, /an error that nothing caught ends this worker: Error: too late/);
});

test("a promise that nothing waits for and that fails ends the worker too", async (t) => {
  const server = await started(t, "export function handle() { Promise.reject(new Error('lost')); return new Promise(() => {}); }");
  server.invoke(1);
  assert.equal((await server.error(1)).message, "Error: lost");
  assert.equal(await server.exit, 1);
});
