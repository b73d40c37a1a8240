"use strict";
// The way out of functions with `network: {allow: […]}`: Node's own clients know no proxy (before 24) and would find an empty network. `http`,
// `https` and `fetch` of such a function go through the one at HTTP_PROXY, as those of other languages do by themselves. What may be
// reached is decided there; whoever goes around this reaches nothing.
const http = require("http");
const https = require("https");
const tls = require("tls");

const REDIRECTS_MAX = 20;

let proxy;
const direct = new http.Agent();

/** Puts them in place. Called once, before the function is loaded, where there is a proxy. */
function useProxy(url) {
  proxy = new URL(url);
  http.globalAgent = new RequestAgent();
  https.globalAgent = new TunnelAgent({ keepAlive: true, scheduling: "lifo", timeout: 5000 });
  globalThis.fetch = (input, init) => fetch(input, init);
}

/** Requests in the clear: the proxy passes each one on. */
class RequestAgent extends http.Agent {
  addRequest(request, options) {
    const port = options.port ?? 80;
    const host = options.host ?? options.hostname ?? "localhost";
    const name = host.includes(":") ? `[${host}]` : host;
    request.path = `http://${name}${Number(port) === 80 ? "" : `:${port}`}${request.path}`;
    super.addRequest(request, { ...options, host: proxy.hostname, port: proxy.port });
  }
}

/** TLS from here to the server: the proxy passes bytes on. */
class TunnelAgent extends https.Agent {
  createConnection(options, done) {
    const host = options.host ?? options.hostname;
    const target = `${host.includes(":") ? `[${host}]` : host}:${options.port ?? 443}`;
    const request = http.request({
      host: proxy.hostname, port: proxy.port, method: "CONNECT", path: target, headers: { host: target }, agent: direct,
    });
    request.once("connect", (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        const error = new Error(`egress: ${response.statusCode} ${response.headers["apus-egress"] ?? response.statusMessage} for ${target}`);
        done(Object.assign(error, { code: "ERR_EGRESS", status: response.statusCode }));
        return;
      }
      done(null, tls.connect({ ...options, socket, servername: options.servername || host }));
    });
    request.once("error", done);
    request.end();
  }
}

async function fetch(input, init) {
  let request = new Request(input, init);
  for (let count = 0; ; count++) {
    const body = request.body === null ? null : Buffer.from(await request.arrayBuffer());
    const response = await send(request, body);
    const to = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get("location") : null;
    if (to === null || request.redirect === "manual") return response;
    if (request.redirect === "error" || count === REDIRECTS_MAX) throw new TypeError("fetch failed: a redirect");
    request = redirected(request, response, new URL(to, request.url), body);
  }
}

function redirected(request, response, url, body) {
  const becomesGet = response.status === 303 || ([301, 302].includes(response.status) && request.method === "POST");
  const headers = new Headers(request.headers);
  if (url.origin !== new URL(request.url).origin) for (const name of ["authorization", "cookie"]) headers.delete(name);
  if (becomesGet) for (const name of ["content-type", "content-length"]) headers.delete(name);
  const method = becomesGet ? "GET" : request.method;
  return new Request(url, { method, headers, body: becomesGet ? undefined : body ?? undefined, redirect: request.redirect, signal: request.signal });
}

function send(request, body) {
  const url = new URL(request.url);
  if (url.protocol !== "http:" && url.protocol !== "https:") return Promise.reject(new TypeError("fetch failed: only http and https"));
  const headers = Object.fromEntries(request.headers);
  headers["accept-encoding"] ??= "identity";
  if (body !== null) headers["content-length"] = String(body.length);
  return new Promise((resolve, reject) => {
    const fail = (error) => reject(request.signal.aborted ? request.signal.reason : Object.assign(new TypeError("fetch failed"), { cause: error }));
    const outgoing = (url.protocol === "https:" ? https : http).request(url, { method: request.method, headers }, (incoming) => {
      const { Readable } = require("stream");
      const isEmpty = [204, 205, 304].includes(incoming.statusCode) || request.method === "HEAD";
      if (isEmpty) incoming.resume();
      const pairs = [];
      for (let at = 0; at < incoming.rawHeaders.length; at += 2) pairs.push([incoming.rawHeaders[at], incoming.rawHeaders[at + 1]]);
      const response = new Response(isEmpty ? null : Readable.toWeb(incoming), { status: incoming.statusCode, statusText: incoming.statusMessage, headers: pairs });
      Object.defineProperty(response, "url", { value: request.url });
      resolve(response);
    });
    outgoing.once("error", fail);
    if (request.signal.aborted) outgoing.destroy(request.signal.reason);
    request.signal.addEventListener("abort", () => outgoing.destroy(request.signal.reason), { once: true });
    outgoing.end(body ?? undefined);
  });
}

module.exports = { useProxy };
