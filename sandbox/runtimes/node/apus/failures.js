"use strict";
// Errors as ERROR payloads. Loaded with the first failure.
const { inspect } = require("util");
const { InvalidData, Reject, ResultTooLarge, Retry } = require("./errors.js");
const { ABSENT, FAILURE, LIMIT, clip } = require("./wire.js");

const FRAMES_MAX = 12;
const CAUSES_MAX = 4;

function payload(kind, code, message, detail = "", after = undefined) {
  const [codeBytes, text, trail] = [Buffer.from(code), clip(message, LIMIT.message), clip(detail, LIMIT.detail)];
  const raw = Buffer.alloc(16);
  raw[0] = kind;
  raw.writeUInt16LE(codeBytes.length, 2);
  raw.writeUInt32LE(text.length, 4);
  raw.writeUInt32LE(trail.length, 8);
  raw.writeUInt32LE(after === undefined ? ABSENT : Math.floor(after * 1000), 12);
  return Buffer.concat([raw, codeBytes, text, trail]);
}

/** The payload for what a handler threw. `isCancelled`: the platform asked it to stop. */
function ofHandler(error, isCancelled = false) {
  if (error instanceof Reject) return payload(FAILURE.PERMANENT, "function_rejected", error.message);
  if (error instanceof Retry) return payload(FAILURE.RETRYABLE, "function_failed", error.message, "", error.after);
  if (error instanceof InvalidData) return payload(FAILURE.POISON, "invalid_json", error.message);
  if (error instanceof ResultTooLarge) return payload(FAILURE.PERMANENT, "result_too_large", error.message);
  if (isCancelled && error?.name === "AbortError") {
    return payload(FAILURE.RETRYABLE, "cancelled", "the invocation was cancelled");
  }
  return payload(FAILURE.RETRYABLE, "function_failed", describe(error), trace(error));
}

/** The payload for what a handler of several events threw: which of them is to blame is not known, unless it names a delay for all. */
function ofBatch(error, isCancelled = false) {
  const raw = ofHandler(error, isCancelled);
  if (!(error instanceof Retry && error.after !== undefined)) raw[1] = 1;
  return raw;
}

/** `TypeError: x is not a function`; anything may be thrown, and its properties may do anything. */
function describe(error) {
  try {
    if (error instanceof Error) return error.message ? `${error.name}: ${error.message}` : String(error.name);
    return `the handler threw ${inspect(error, { depth: 1 }).slice(0, 1000)}, which is no Error`;
  } catch {
    return "an error whose text could not be made";
  }
}

/** The stack of the function's own frames, without the runtime's, and the causes behind it. */
function trace(error) {
  const parts = [];
  const seen = new Set();
  try {
    while (error instanceof Error && !seen.has(error) && seen.size < CAUSES_MAX) {
      seen.add(error);
      parts.push(ownFrames(String(error.stack ?? describe(error))));
      error = error.cause;
    }
  } catch {
    parts.push("(the rest of the stack could not be read)");
  }
  return parts.join("\n\ncaused by:\n");
}

const isRuntime = (line) => line.includes(`(${__dirname}/`) || line.includes(` ${__dirname}/`) || line.includes("node:internal/");

function ownFrames(stack) {
  const lines = stack.split("\n");
  const first = lines.findIndex((line) => line.startsWith("    at "));
  if (first < 0) return stack;
  let frames = lines.slice(first).filter((line) => !isRuntime(line));
  if (frames.length > FRAMES_MAX) {
    const half = FRAMES_MAX / 2;
    frames = [...frames.slice(0, half), `    ... ${frames.length - FRAMES_MAX} frames left out`, ...frames.slice(-half)];
  }
  return [...lines.slice(0, first), ...frames].join("\n");
}

module.exports = { describe, ofBatch, ofHandler, payload, trace };
