"use strict";
// Requests of HTTP triggers as a handler sees them, and answers that choose their status and headers.
//
// docs/worker-protocol.md describes both as headers of an event. What a function answers is checked again on the server's side:
// the checks here only tell its author early.
const { encodeAttributes } = require("./attributes.js");
const { bytesOf } = require("./event.js");
const { encodeJSON, isJSON } = require("./json.js");

const PARAM = "apus-http-param-";

/** Headers of a request; names in any case. Iterated as pairs, in the order they came. */
class RequestHeaders {
  #pairs;
  constructor(pairs) { this.#pairs = pairs; }
  get(name) { return this.getAll(name)[0] ?? null; }
  getAll(name) { return this.#pairs.filter(([each]) => each === name.toLowerCase()).map(([, value]) => value); }
  has(name) { return this.get(name) !== null; }
  [Symbol.iterator]() { return this.#pairs[Symbol.iterator](); }
}

/** The request that the headers of an event describe; null when there is none. */
function requestOf(headers) {
  const request = { method: null, path: "/", params: Object.create(null), query: new URLSearchParams(), headers: null };
  const others = [];
  for (const [name, raw] of headers) {
    const value = raw.toString();
    if (!name.startsWith("apus-")) others.push([name, value]);
    else if (name === "apus-http-method") request.method = value;
    else if (name === "apus-http-path") request.path = value;
    else if (name === "apus-http-query") request.query = new URLSearchParams(value);
    else if (name.startsWith(PARAM)) request.params[name.slice(PARAM.length)] = value;
  }
  request.headers = new RequestHeaders(others);
  return request.method === null ? null : request;
}

function checkHeader(name, value) {
  if (typeof name !== "string" || typeof value !== "string") {
    throw new TypeError(`a header is a pair of strings, not ${typeof name} and ${typeof value}`);
  }
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new TypeError(`'${name}' is no name of a header`);
  if (name.toLowerCase().startsWith("apus-")) {
    throw new TypeError(`the header ${name} is the platform's: names that begin with apus- are reserved`);
  }
  if (!/^[\t\x20-\x7e]*$/.test(value)) {
    throw new TypeError(`the header ${name} holds a character that no header may hold: encode what is not ASCII`);
  }
}

/**
 * An answer to an HTTP trigger with a status and headers of its own. `body` may be bytes, a string (sent as text), null, a
 * generator, sync or async (streamed), or anything that JSON can hold. Its type is the header Content-Type, else what the body
 * suggests. Where the caller is no HTTP trigger only the body counts.
 */
class Response {
  constructor(body = null, { status = body === null ? 204 : 200, headers = [] } = {}) {
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError(`the status ${status} is no number from 200 to 599`);
    }
    const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
    for (const [name, value] of pairs) checkHeader(name, value);
    this.body = body;
    this.status = status;
    this.headers = pairs;
  }

  get contentType() { return this.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1]; }

  /** Encoded attributes and headers; `standard` is the content type of a body that comes without one. */
  attributes(standard) {
    const type = this.contentType ?? standard;
    const own = this.headers.filter(([name]) => name.toLowerCase() !== "content-type");
    return encodeAttributes(
      type ? { datacontenttype: type } : {},
      [["apus-http-status", String(this.status)], ...own.map(([name, value]) => [name.toLowerCase(), value])]);
  }

  /** Key, encoded attributes and data as bytes, null where there is none. */
  block() {
    const { body, contentType: type } = this;
    if (body === null || body === undefined) return { key: null, attributes: this.attributes(), data: null };
    const raw = bytesOf(body);
    if (raw !== undefined) return { key: null, attributes: this.attributes("application/octet-stream"), data: raw };
    if (typeof body === "string" && !isJSON(type)) {
      return { key: null, attributes: this.attributes("text/plain; charset=utf-8"), data: Buffer.from(body) };
    }
    if (type === undefined || isJSON(type)) {
      return { key: null, attributes: this.attributes("application/json"), data: encodeJSON(body) };
    }
    throw new TypeError(`an answer of type ${type} needs its body as bytes or a string, not ${typeof body}`);
  }
}

module.exports = { Response, requestOf };
