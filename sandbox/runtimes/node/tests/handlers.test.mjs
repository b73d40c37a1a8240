// What a handler sees, what it may return and throw, and what it may ask of the platform.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ECHO, FAILED, FakeServer, MORE, batchOf, block, encode, invokeHead } from "./fake-server.mjs";

const started = (test, source = ECHO, more = {}) => new FakeServer(test, source, more).ready();
const handler = (body) => `import apus, { Event, Reject, Response, Retry } from "apus";\nexport async function handle(event, context) {\n${body}\n}\n`;

test("an event is read where the handler looks", async (t) => {
  const server = await started(t, handler(`return {
    data: event.data, raw: event.raw.toString(), key: event.key, id: event.id, source: event.source, type: event.type,
    time: event.time, subject: event.subject, level: event.get("level"), flag: event.attributes.flag, none: event.get("none", 7),
    headers: event.headers.map(([name, value]) => [name, value.toString()]),
    place: [event.topic, event.partition, event.offset, event.table, event.replay], http: event.http,
    context: [context.invocation, context.attempt, context.function, context.deadline, context.remaining === Infinity, context.trace] };`));
  server.invokeJSON(1, { a: [1, null] }, {
    key: "k1", attempt: 3, trigger: 0, partition: 4, offset: 99, marks: 1,
    pairs: [["id", "i"], ["source", "/s"], ["type", "t"], ["time", [6, "2026-01-01T00:00:00Z"]], ["level", [2, "-5"]], ["flag", [1, "true"]],
      ["x-trace", [128, "h"]], ["traceparent", [128, "00-aa-bb-01"]], ["traceparent", "00-cc-dd-01"]],
  });
  assert.deepEqual((await server.result(1)).value, {
    data: { a: [1, null] }, raw: '{"a":[1,null]}', key: "k1", id: "i", source: "/s", type: "t", time: "2026-01-01T00:00:00Z", level: -5,
    flag: true, none: 7, headers: [["x-trace", "h"], ["traceparent", "00-aa-bb-01"]], place: ["documents", 4, 99, false, true], http: null,
    context: ["0123456789abcdeffedcba9876543210", 3, "test", null, true, "00-aa-bb-01"],
  });
});

test("data without a JSON type is a Buffer, a tombstone null, a key that is no text bytes", async (t) => {
  const server = await started(t, handler("return [Buffer.isBuffer(event.data), event.data === null, event.key === null || typeof event.key];"));
  server.invoke(1, "x");
  server.invoke(2, null, { key: Buffer.of(0xff) });
  assert.deepEqual((await server.result(1)).value, [true, false, true]);
  assert.deepEqual((await server.result(2)).value, [false, true, "object"]);
});

for (const [about, expression, type, data] of [
  ["an object", "{ a: 1 }", "application/json", '{"a":1}'],
  ["a string", '"text"', "application/json", '"text"'],
  ["a number", "0", "application/json", "0"],
  ["an array", "[1, [2]]", "application/json", "[1,[2]]"],
  ["a Date", "new Date(0)", "application/json", '"1970-01-01T00:00:00.000Z"'],
  ["a Buffer", 'Buffer.from("b")', "application/octet-stream", "b"],
  ["a Uint8Array within another", "new Uint8Array([65, 66, 67]).subarray(1)", "application/octet-stream", "BC"],
  ["an ArrayBuffer", "new Uint8Array([65]).buffer", "application/octet-stream", "A"],
  ["nothing", "undefined", undefined, null],
  ["null", "null", undefined, null],
  ["an Event", 'new Event({ a: 1 }, { key: "k", type: "t", attributes: { level: 3, on: true } })', "application/json", '{"a":1}'],
  ["an Event of text", 'new Event("hi", { datacontenttype: "text/plain" })', "text/plain", "hi"],
]) {
  test(`a handler may return ${about}`, async (t) => {
    const server = await started(t, handler(`return ${expression};`));
    server.invoke(1);
    const answer = await server.result(1);
    assert.deepEqual([answer.attributes.datacontenttype, answer.data?.toString() ?? null], [type, data]);
    if (about === "an Event") {
      assert.deepEqual([answer.key, answer.attributes.type, answer.attributes.level, answer.attributes.on], ["k", "t", "3", "true"]);
    }
  });
}

test("a received event may be returned, without the platform's headers", async (t) => {
  const server = await started(t, handler("return event;"));
  server.invoke(1, "x", { key: "k", pairs: [["type", "t"], ["apus-http-method", [128, "GET"]], ["mine", [128, "h"]]] });
  const answer = await server.result(1);
  assert.deepEqual([answer.key, answer.attributes.type, answer.headers, answer.data.toString()], ["k", "t", [["mine", "h"]], "x"]);
});

for (const [about, body, kind, code, part, after = null] of [
  ["any error", "throw new TypeError('no');", "retryable", "function_failed", "TypeError: no"],
  ["an error of a class of its own", "class Mine extends Error { name = 'Mine'; }; throw new Mine('x');", "retryable", "function_failed", "Mine: x"],
  ["what is no error", "throw { odd: 1 };", "retryable", "function_failed", "the handler threw { odd: 1 }, which is no Error"],
  ["an error that cannot be read", "throw new Proxy(new Error(), { get() { throw 1; } });", "retryable", "function_failed", "could not be made"],
  ["a rejection", "throw new Reject('never');", "permanent", "function_rejected", "never"],
  ["a request for another attempt", "throw new Retry('soon', { after: 1.5 });", "retryable", "function_failed", "soon", 1500],
  ["data that is no JSON", "return event.data;", "poison", "invalid_json", "is not JSON although"],
  ["a result that is no JSON", "return { value: 1n };", "retryable", "function_failed", "cannot be written as JSON"],
  ["a circle", "const a = {}; a.a = a; return a;", "retryable", "function_failed", "cannot be written as JSON"],
  ["a function", "return handle;", "retryable", "function_failed", "a value of type function"],
  ["process.exit", "process.exit(3);", "retryable", "function_failed", "the handler called process.exit(3)"],
  ["a delay out of bounds", "throw new Retry('x', { after: -1 });", "retryable", "function_failed", "expected seconds between 0"],
  ["a bad name of an attribute", "return new Event(1, { attributes: { 'a-b': 1 } });", "retryable", "function_failed", "is no name of an attribute"],
  ["an option that an event has not", "return new Event(1, { partition: 1 });", "retryable", "function_failed", "put it into attributes"],
]) {
  test(`a failed attempt says why: ${about}`, async (t) => {
    const server = await started(t, handler(body));
    server.invoke(1, "{", { pairs: [["datacontenttype", "application/json"]] });
    const failure = await server.error(1);
    assert.deepEqual([failure.kind, failure.code, failure.after], [kind, code, after]);
    assert.ok(failure.message.includes(part), failure.message);
    server.send("PING");
    await server.expect("PING");
  });
}

test("a stack shows the function's own frames and the causes, without the runtime's", async (t) => {
  const server = await started(t, `
    function inner() { throw new RangeError("deep"); }
    export async function handle() {
      try { inner(); } catch (error) { throw new Error("wrapped", { cause: error }); }
    }`);
  server.invoke(1);
  const { detail } = await server.error(1);
  assert.match(detail, /^Error: wrapped\n    at handle \(file:.*main\.mjs:4:\d+\)/);
  assert.match(detail, /caused by:\nRangeError: deep\n    at inner \(file:.*main\.mjs:2:\d+\)/);
  assert.ok(!detail.includes("/runtimes/node/apus/") && !detail.includes("node:internal"), detail);
});

test("messages and stacks are cut at their bounds, between characters", async (t) => {
  const server = await started(t, handler("const error = new Error('ä'.repeat(50_000)); error.stack = 'é'.repeat(50_000); throw error;"));
  server.invoke(1);
  const { message, detail } = await server.error(1);
  assert.ok(Buffer.byteLength(message) <= 8192 && message.endsWith("ä ...") && !message.includes("\ufffd"));
  assert.ok(Buffer.byteLength(detail) <= 16_384 && detail.endsWith("é ..."));
});

for (const [about, source, parts, type] of [
  ["an async generator of JSON", "export async function* handle() { yield { n: 1 }; await null; yield 'two'; }", ['{"n":1}\n', '"two"\n'], "application/x-ndjson"],
  ["a generator of bytes", "export function* handle() { yield Buffer.from('a'); yield Buffer.from('b'); }", ["a", "b"], "application/octet-stream"],
  ["a stream", "import { Readable } from 'node:stream'; export const handle = () => Readable.from([Buffer.from('s')]);", ["s"], "application/octet-stream"],
]) {
  test(`parts go out as they come: ${about}`, async (t) => {
    const server = await started(t, source);
    server.invoke(1);
    const answer = await server.result(1);
    assert.ok(answer.isStream);
    assert.deepEqual(answer.parts.map(String), [...parts, ""]);
    assert.equal(answer.attributes.datacontenttype, type);
  });
}

test("the first part of a stream is there before the second is made", async (t) => {
  const server = await started(t, `
    let go;
    const gate = new Promise((resolve) => (go = resolve));
    export async function* handle(event) { if (event.raw.length > 0) return go(); yield 1; await gate; yield 2; }`, { concurrency: 2 });
  server.invoke(1);
  assert.equal((await server.expect("RESULT", 1)).flags, MORE | 2);
  assert.equal((await server.expect("DATA", 1)).payload.toString(), "1\n");
  server.invoke(2, "go");
  const rest = [await server.receive(), await server.receive(), await server.receive()];
  assert.deepEqual(rest.filter((frame) => frame.stream === 1).map((frame) => [frame.type, frame.payload.toString()]), [["DATA", "2\n"], ["DATA", ""]]);
});

for (const [about, source, part] of [
  ["an error in the middle", "export function* handle() { yield 1; throw new Error('half'); }", "Error: half"],
  ["parts of two kinds", "export function* handle() { yield 1; yield Buffer.from('a'); }", "either bytes only or no bytes at all"],
  ["more than a result may have", "export function* handle() { for (let n = 0; n < 65; n++) yield Buffer.alloc(1 << 20); }", "more than 67108864 bytes"],
]) {
  test(`a stream may end with an error: ${about}`, async (t) => {
    const server = await started(t, source);
    server.invoke(1);
    let frame = await server.receive();
    while (frame.type !== "ERROR") frame = await server.receive();
    assert.ok(frame.payload.toString().includes(part));
  });
}

test("an empty generator is an empty result", async (t) => {
  const server = await started(t, "export function* handle() {}");
  server.invoke(1);
  assert.equal((await server.result(1)).data, null);
});

test("a request of an HTTP trigger, and an answer with status and headers", async (t) => {
  const server = await started(t, handler(`
    const { method, path, params, query, headers } = event.http;
    return new Response({ method, path, id: params.id, q: query.getAll("q"), agent: headers.get("User-Agent"), two: headers.getAll("x-two") },
      { status: 201, headers: { "X-Mine": "yes", "Content-Type": "application/vnd.mine+json" } });`));
  const header = (name, value) => [name, [128, value]];
  server.invoke(1, "", { pairs: [header("apus-http-method", "POST"), header("apus-http-path", "/a/7"), header("apus-http-param-id", "7"),
    header("apus-http-query", "q=1+2&q=%C3%A4"), header("user-agent", "curl"), header("x-two", "a"), header("x-two", "b")] });
  const answer = await server.result(1);
  assert.deepEqual(JSON.parse(answer.data), { method: "POST", path: "/a/7", id: "7", q: ["1 2", "ä"], agent: "curl", two: ["a", "b"] });
  assert.deepEqual(answer.headers, [["apus-http-status", "201"], ["x-mine", "yes"]]);
  assert.equal(answer.attributes.datacontenttype, "application/vnd.mine+json");
});

for (const [about, expression, status, type, data] of [
  ["text", 'new Response("hi")', "200", "text/plain; charset=utf-8", "hi"],
  ["nothing", "new Response()", "204", undefined, null],
  ["bytes", 'new Response(Buffer.from("b"), { status: 418 })', "418", "application/octet-stream", "b"],
  ["text that streams", 'new Response((function* () { yield "a"; yield "b"; })(), { headers: [["content-type", "text/event-stream"]] })', "200", "text/event-stream", "ab"],
]) {
  test(`an answer may be ${about}`, async (t) => {
    const server = await started(t, handler(`return ${expression};`));
    server.invoke(1);
    const answer = await server.result(1);
    assert.deepEqual([answer.headers[0][1], answer.attributes.datacontenttype, answer.data?.toString() ?? null], [status, type, data]);
  });
}

test("an answer's status and headers are checked", async (t) => {
  const server = await started(t, handler("return new Response('x', event.data);"));
  const wrong = [{ status: 99 }, { headers: { "a b": "x" } }, { headers: { "apus-x": "y" } }, { headers: { a: "x\ny" } }, { headers: { a: 1 } }];
  for (const [index, options] of wrong.entries()) {
    server.invokeJSON(index + 1, options);
    assert.match((await server.error(index + 1)).message, /status|header/);
  }
});

test("log lines, progress and emitted events come before the result", async (t) => {
  const server = await started(t, handler(`
    context.log.debug("d"); context.log.info("took %d of %s", 3, "4"); context.log.warn("w"); context.log.error(new Error("e").message);
    context.progress(1, 10, "first");
    context.emit("words", { word: "w" }, { key: "k", type: "t" });
    context.emit("words", new Event(Buffer.alloc(100_000), { subject: "s" }));
    return 1;`));
  server.invoke(1);
  for (const [level, text] of [[0, "d"], [1, "took 3 of 4"], [2, "w"], [3, "e"]]) {
    const { payload } = await server.expect("LOG", 1);
    assert.deepEqual([payload[0], payload.toString("utf8", 1)], [level, text]);
  }
  const progress = (await server.expect("PROGRESS", 1)).payload;
  assert.deepEqual([progress.readBigUInt64LE(0), progress.readBigUInt64LE(8), progress.toString("utf8", 16)], [1n, 10n, "first"]);
  const first = (await server.expect("EMIT", 1)).payload;
  assert.ok(first.subarray(0, 7).equals(Buffer.from("\x05\x00words")) && first.toString().endsWith('{"word":"w"}'));
  let { flags } = await server.expect("EMIT", 1);
  while (flags & MORE) ({ flags } = await server.expect("DATA", 1));
  assert.equal((await server.result(1)).value, 1);
});

test("an attempt emits at most 1024 events, of 1 MiB each", async (t) => {
  const server = await started(t, handler("for (let n = 0; n < Number(event.data); n++) context.emit('t', n); context.emit('t', Buffer.alloc(event.data.length > 1 ? 1 : 1 << 20));"));
  for (const [count, part] of [[1024, "at most 1024 events"], [0, "at most 1048576 are allowed"]]) {
    server.invoke(1 + count, String(count));
    for (let index = 0; index < count; index++) await server.expect("EMIT");
    assert.ok((await server.error()).message.includes(part));
  }
});

test("what is left of an answered handler may say nothing", async (t) => {
  const server = await started(t, `
    let kept;
    export function handle(event, context) {
      if (kept === undefined) { kept = context; return 1; }
      for (const attempt of [() => kept.emit("t", 1), () => kept.progress(1)]) {
        try { attempt(); return "said"; } catch (error) { context.log.info(error.name); }
      }
      return 2;
    }`);
  server.invoke(1);
  await server.result(1);
  server.invoke(2);
  for (const _ of [1, 2]) assert.equal((await server.expect("LOG", 2)).payload.toString("utf8", 1), "NotAvailable");
  assert.equal((await server.result(2)).value, 2);
});

test("CANCEL aborts the signal; a handler that never waits can ask", async (t) => {
  const server = await started(t, handler(`
    if (event.raw.length > 0) {
      context.log.info("looping");
      while (!context.cancelled);
      return context.signal.aborted;
    }
    context.log.info("waiting");
    await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));`));
  for (const data of ["x", ""]) {
    const stream = 1 + data.length;
    server.invoke(stream, data);
    await server.expect("LOG", stream);
    server.send("CANCEL", undefined, { stream });
    if (data) assert.equal((await server.result(stream)).value, true);
    else assert.equal((await server.error(stream)).code, "cancelled");
  }
  server.send("CANCEL", undefined, { stream: 77 });
  server.invoke(9, "");
  await server.expect("LOG", 9);
});

test("frames that were looked ahead for are handled afterwards, in order", async (t) => {
  const server = await started(t, handler("const end = Date.now() + 50; while (event.raw.length > 2 && Date.now() < end) context.cancelled; return event.data;"), { concurrency: 50 });
  server.invoke(1, "first");
  for (let stream = 2; stream <= 50; stream++) server.invoke(stream, String(stream));
  for (let stream = 1; stream <= 50; stream++) assert.equal((await server.result()).stream, stream);
});

test("a stream ends when its caller has left", async (t) => {
  const server = await started(t, "export async function* handle() { while (true) { yield 1; await new Promise(setImmediate); } }");
  server.invoke(1);
  await server.expect("RESULT", 1);
  server.send("CANCEL", undefined, { stream: 1 });
  let frame = await server.receive();
  while (frame.type === "DATA") frame = await server.receive();
  assert.ok(frame.type === "ERROR" && frame.payload.toString().includes("cancelled"));
});

test("a deadline is a Date, and what remains are seconds", async (t) => {
  const server = await started(t, handler("return [context.deadline.getTime(), context.remaining > 50 && context.remaining <= 60];"));
  const deadline = Date.now() + 60_000;
  server.invoke(1, "", { deadline: BigInt(deadline) * 1000n });
  assert.deepEqual((await server.result(1)).value, [deadline, true]);
});

test("a batch is answered one by one, and its events may fail one by one", async (t) => {
  const server = await started(t, `
    import { Reject } from "apus";
    export async function handle(events, context) {
      context.items[1].emit("t", 1);
      return events.map((event) => event.data.n === 2 ? new Reject("two") : event.data.n * 10);
    }`, { batch: { maxSize: 3 } });
  const item = (n) => block(Buffer.from(JSON.stringify({ n })), { pairs: [["datacontenttype", "application/json"]] });
  server.send("BATCH", batchOf([[11, item(1)], [12, item(2)], [13, item(3)]]));
  await server.expect("EMIT", 12);
  assert.equal((await server.whole("ITEM_RESULT", 11)).value, 10);
  assert.equal((await server.whole("ITEM_RESULT", 12)).code, "function_rejected");
  assert.equal((await server.whole("ITEM_RESULT", 13)).value, 30);
});

test("a batch fails as a whole with the handler, or with results that do not match", async (t) => {
  const server = await started(t, "export function handle(events) { return events[0].raw.length === 1 ? [1] : 'none'; }", { batch: { maxSize: 2 } });
  for (const [data, part] of [["x", "1 results for 2 events"], ["xx", "returns an array of 2 results"]]) {
    server.send("BATCH", batchOf([[1, block(Buffer.from(data))], [2, block(Buffer.from("y"))]]));
    for (const stream of [1, 2]) assert.ok((await server.whole("ITEM_RESULT", stream)).message.includes(part));
  }
});

test("a single event for a handler of batches is a batch of one", async (t) => {
  const server = await started(t, "export async function* handle(events, context) { for (const event of events) yield [event.raw.length, context.items.length]; }", { batch: { maxSize: 2 } });
  server.invoke(1, "four");
  assert.deepEqual((await server.result(1)).value, [4, 1]);
  server.write(encode("BATCH", batchOf([[2, block(Buffer.from("x"), { size: 3 })]]), { flags: MORE }));
  server.send("DATA", Buffer.from("yz"), { stream: 2 });
  const frame = await server.expect("ITEM_RESULT", 2);
  assert.equal(frame.flags & FAILED, 0);
});

test("invocations of one worker overlap", async (t) => {
  const server = await started(t, `
    let open;
    export async function handle(event) {
      if (event.raw.length > 0) { open(event.data.toString()); return "opened"; }
      return new Promise((resolve) => (open = resolve));
    }`, { concurrency: 2 });
  server.invoke(1);
  server.invoke(2, "key");
  const answers = [await server.result(), await server.result()];
  assert.deepEqual(Object.fromEntries(answers.map(({ stream, value }) => [stream, value])), { 1: "key", 2: "opened" });
});

test("with one invocation at a time, what is printed goes to standard output", async (t) => {
  const server = await started(t, handler("console.log('to %s', 'out'); console.error('to err');"));
  server.invoke(1);
  await server.result(1);
  assert.equal(await server.drain(), 0);
  assert.deepEqual(server.printed.trim().split("\n").sort(), ["to err", "to out"]);
});

test("with several, each line says whose it is", async (t) => {
  const server = await started(t, handler(`
    const name = event.data.toString();
    console.log("start", name);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.stdout.write("no end of " + name);
    console.error("err", name);
    return name;`), { concurrency: 3 });
  for (const stream of [1, 2, 3]) server.invoke(stream, "n" + stream);
  const lines = { 1: [], 2: [], 3: [] };
  for (let results = 0; results < 3;) {
    const frame = await server.receive();
    if (frame.type === "RESULT") results += 1;
    else lines[frame.stream].push([frame.payload[0], frame.payload.toString("utf8", 1)]);
  }
  for (const stream of [1, 2, 3]) {
    assert.deepEqual(lines[stream], [[4, `start n${stream}`], [5, `err n${stream}`], [4, `no end of n${stream}`]]);
  }
  assert.equal(server.printed, "");
});

test("secrets come by an inherited descriptor", async (t) => {
  const source = handler("try { return [context.secret('token'), context.secret('other')]; } catch (error) { return [error.name, error.message]; }");
  const given = await started(t, source, { secrets: '{"token": "hush", "other": "x"}' });
  given.invoke(1);
  assert.deepEqual((await given.result(1)).value, ["hush", "x"]);
  const partly = await started(t, source, { secrets: '{"token": "hush"}' });
  partly.invoke(1);
  assert.match((await partly.result(1)).value[1], /the secret 'other' is not available to this function \(given: token\)/);
  const without = await started(t, source);
  without.invoke(1);
  assert.equal((await without.result(1)).value[0], "NotAvailable");
});

test("require gives the same classes as import", async (t) => {
  const server = await started(t, { "main.cjs": 'const { Reject } = require("apus"); exports.handle = async () => { throw new Reject("no"); };' });
  server.invoke(1);
  assert.equal((await server.error(1)).code, "function_rejected");
});

test("invocations that come in one read, with INIT, wait for the handler", async (t) => {
  const server = new FakeServer(t, "await new Promise((resolve) => setTimeout(resolve, 5));\n" + ECHO, { initialize: false });
  const init = encode("INIT", Buffer.from(JSON.stringify(server.configuration)));
  server.write(Buffer.concat([init, encode("INVOKE", Buffer.concat([invokeHead(), block(Buffer.from("x"))]), { stream: 1 })]));
  await server.ready();
  assert.equal((await server.result(1)).value, "x");
});
