// What every view of the console uses: elements, the API, small charts, words for numbers and times.

const drawn = new Set(["svg", "polyline"]);

/** Makes an element. Text is always text: nothing that a function or a producer wrote is ever read as HTML. */
export function h(tag, attributes, ...children) {
  const element = drawn.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

// ---- the API

const names = { namespace: localStorage.getItem("namespace") ?? "default" };
export const namespace = () => names.namespace;
export function setNamespace(name) {
  names.namespace = name;
  localStorage.setItem("namespace", name);
}

/** The path of something in the chosen namespace; each part is encoded. */
export function path(...parts) {
  const base = names.namespace === "default" ? "/v1" : `/v1/namespaces/${encodeURIComponent(names.namespace)}`;
  return [base, ...parts.map(encodeURIComponent)].join("/");
}

export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Asks the server; what it refuses is thrown as a Problem. */
export async function api(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(0, "server_unreachable", "The server does not answer. This page goes on by itself when it is back.");
  }
  const text = await response.text();
  if (response.ok) return text && (response.headers.get("content-type") ?? "").includes("json") ? JSON.parse(text) : text;
  let problem = {};
  try { problem = JSON.parse(text); } catch { /* Not ours: the status says enough. */ }
  throw new Problem(response.status, problem.code ?? "", problem.detail ?? `The server answered with status ${response.status}.`);
}

/** Follows a stream of server-sent events until the view is left. */
export function follow(view, url, onData) {
  const source = new EventSource(url);
  source.onmessage = (event) => { if (event.data) onData(JSON.parse(event.data)); };
  view.onLeave(() => source.close());
  return source;
}

let statusTimer;
export function say(text) {
  const line = document.getElementById("status");
  line.textContent = text;
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => { line.textContent = ""; }, 5000);
}

// ---- words

export function rate(value) {
  if (value == null) return "–";
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k/s` : `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} /s`;
}

export function count(value) {
  return value == null ? "–" : new Intl.NumberFormat("en").format(value);
}

/** Microseconds in the unit that suits them. */
export function span(microseconds) {
  if (microseconds == null) return "–";
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 1 : 0)} ms`;
  return `${(microseconds / 1e6).toFixed(1)} s`;
}

export function bytes(value) {
  if (value == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${at ? value.toFixed(1) : value} ${units[at]}`;
}

/** How long ago, with the whole time behind it. */
export function ago(text) {
  if (!text) return h("span", { class: "soft" }, "–");
  const seconds = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
  const words = seconds < 2 ? "now" : seconds < 60 ? `${Math.floor(seconds)} s ago` : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago`
    : seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
  return h("time", { datetime: text, title: text }, words);
}

const tones = {
  succeeded: "good", ready: "good", created: "good", busy: "", running: "", starting: "warn", retrying: "warn", draining: "warn", open: "warn",
  queued: "", failed: "bad", deadLettered: "bad", dropped: "bad", expired: "bad", quarantined: "bad",
};
export function badge(state, label) {
  return h("span", { class: `badge ${tones[state] ?? ""}` }, label ?? state ?? "–");
}

// ---- pictures

/** A line of the last values; a second one for failures lies over it. */
export function spark(values, failures) {
  const all = [...(values ?? []), ...(failures ?? [])];
  const top = Math.max(1, ...all);
  const line = (series, name) => h("polyline", {
    class: name, points: series.map((value, at) => `${(at * 100) / Math.max(1, series.length - 1)},${28 - (value * 26) / top}`).join(" "),
  });
  const drawn = [values?.length ? line(values, "all") : null, failures?.some((value) => value > 0) ? line(failures, "failed") : null];
  const label = `${values?.length ?? 0} seconds, at most ${Math.max(0, ...(values ?? [0]))} a second`;
  return h("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": label }, drawn);
}

/** A histogram: what was at most so long, and how often. */
export function bars(buckets) {
  if (!buckets?.length) return h("p", { class: "empty" }, "No cold start yet.");
  const top = Math.max(...buckets.map((bucket) => bucket.count));
  return h("div", { class: "bars" }, buckets.map((bucket) => h("div", { title: `${count(bucket.count)} took at most ${span(bucket.atMost)}` },
    h("span", {}, count(bucket.count)), h("i", { style: { height: `${(bucket.count * 100) / top}%` } }), h("span", {}, `≤ ${span(bucket.atMost)}`))));
}

// ---- pieces of pages

export function card(title, ...content) {
  return h("section", { class: "card" }, title ? h("h2", {}, title) : null, content);
}

/** A table whose rows may lead somewhere: `rows` are `{cells, open, id}`. */
export function table(columns, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const head = columns.map((column) => h("th", { scope: "col", class: `${column.number ? "number" : ""} ${column.phone === false ? "phone-hidden" : ""}` }, column.title));
  const body = rows.map((row) => h("tr", { "data-open": row.open, "data-id": row.id },
    row.cells.map((cell, at) => h("td", { class: `${columns[at].number ? "number" : ""} ${columns[at].phone === false ? "phone-hidden" : ""} ${columns[at].wide ? "wide" : ""}` }, cell))));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value != null).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function link(to, text) { return h("a", { href: to }, text); }
export const hash = (text) => h("code", { title: text }, (text ?? "").slice(0, 12));
export const pretty = (value) => h("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
