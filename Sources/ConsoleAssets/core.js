// What every view uses: elements and how they change in place, words for numbers and times, pieces of pages.

const drawn = new Set(["svg", "path", "line"]);

/** Makes an element. Text is always text: nothing that a function or a producer wrote is ever read as HTML. */
export function h(tag, attributes, ...children) {
  const element = drawn.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  element.handlers = {};
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) {
      element.handlers[name.slice(2)] = value;
      // By way of the table, so that an element that is kept takes over what its successor would have done.
      element.addEventListener(name.slice(2), (event) => element.handlers[name.slice(2)]?.(event));
    } else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null && (value !== "" || name === "value")) element.setAttribute(name, value);
  }
  element.append(...present(children));
  return element;
}

const present = (children) => children.flat(Infinity).filter((child) => child != null && child !== false && child !== "");
const keyOf = (node) => node.nodeType === 1 ? node.dataset.key : undefined;

/**
 * Gives `parent` these children and keeps every element that may stay, so that focus, selection and scrolling survive what comes every
 * second. Elements with a `data-key` are the same where their keys are; others where tag and place are.
 */
export function update(parent, ...children) {
  const wanted = present(children).map((child) => child instanceof Node ? child : document.createTextNode(String(child)));
  const kept = new Map([...parent.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  const keys = new Set(wanted.map(keyOf).filter(Boolean));
  for (const [key, node] of kept) if (!keys.has(key)) node.remove();
  let place = parent.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    const same = key ? kept.get(key) : place && !keyOf(place) && place.nodeName === node.nodeName ? place : null;
    if (same && same.nodeName === node.nodeName) {
      if (same === place) place = place.nextSibling; else parent.insertBefore(same, place);
      take(same, node);
    } else parent.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function take(old, node) {
  if (node.nodeType !== 1) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
    return;
  }
  for (const name of old.getAttributeNames()) if (!node.hasAttribute(name) && name !== "style") old.removeAttribute(name);
  for (const name of node.getAttributeNames()) {
    if (name !== "style" && old.getAttribute(name) !== node.getAttribute(name)) old.setAttribute(name, node.getAttribute(name));
  }
  // As an attribute the policy of the page would refuse it.
  if (old.style.cssText !== node.style.cssText) old.style.cssText = node.style.cssText;
  for (const [name, handler] of Object.entries(node.handlers ?? {})) {
    if (!(name in old.handlers)) old.addEventListener(name, (event) => old.handlers[name]?.(event));
    old.handlers[name] = handler;
  }
  update(old, [...node.childNodes]);
}

// ---- words

const grouped = new Intl.NumberFormat("en-US");
export const count = (value) => value == null ? "–" : grouped.format(value).replaceAll(",", "\u202f");

export function rate(value) {
  if (value == null) return "–";
  return value >= 10_000 ? `${(value / 1000).toFixed(1)}\u00a0k/s` : `${value >= 10 || value === 0 ? count(Math.round(value)) : value.toFixed(1)}\u00a0/s`;
}

/** Microseconds in the unit that suits them. */
export function span(microseconds) {
  if (microseconds == null) return "–";
  if (microseconds < 1000) return `${Math.round(microseconds)}\u00a0µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 1 : 0)}\u00a0ms`;
  return microseconds < 6e7 ? `${(microseconds / 1e6).toFixed(1)}\u00a0s` : long(microseconds / 1e6);
}

const long = (seconds) => seconds < 60 ? `${Math.floor(seconds)}\u00a0s` : seconds < 3600 ? `${Math.floor(seconds / 60)}\u00a0min`
  : seconds < 172_800 ? `${Math.floor(seconds / 3600)}\u00a0h` : `${Math.floor(seconds / 86_400)}\u00a0d`;

export function bytes(value) {
  if (value == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${at ? value.toFixed(1) : value}\u00a0${units[at]}`;
}

/** How long ago or how far ahead, with the whole time behind it. */
export function ago(text) {
  if (!text) return soft("–");
  const seconds = (Date.now() - Date.parse(text)) / 1000;
  const words = seconds < -1 ? `in ${long(-seconds)}` : seconds < 2 ? "now" : `${long(seconds)} ago`;
  return h("time", { datetime: text, title: new Date(text).toLocaleString() }, words);
}

/** Microseconds between two times; times have six digits, `Date` reads three of them. */
export function between(from, to) {
  const exact = (text) => Date.parse(text) * 1000 + Number((text.match(/\.\d{3}(\d{1,3})/)?.[1] ?? "0").padEnd(3, "0"));
  return from && to ? Math.max(0, exact(to) - exact(from)) : null;
}

// ---- pieces of pages

const tones = {
  succeeded: "good", accepted: "good", consumed: "good", waiting: "warn", declined: "bad", ready: "good", redriven: "good", busy: "busy", running: "busy", queued: "", starting: "warn", retrying: "warn", draining: "warn",
  open: "warn", paused: "warn", failed: "bad", deadLettered: "bad", dropped: "", expired: "bad", cancelled: "", quarantined: "bad",
};
const labels = { deadLettered: "dead letter" };
export const tone = (state) => tones[state] ?? "";
export const badge = (state, label) => h("span", { class: `badge ${tone(state)}` }, label ?? labels[state] ?? state ?? "–");
export const link = (to, text) => h("a", { href: to }, text);
export const to = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;
export const soft = (...text) => h("span", { class: "soft" }, text);
export const hash = (text) => h("code", { title: text }, (text ?? "").slice(0, 12));
export const place = (item) => item.topic?.startsWith("apus.invoke.") ? soft("asynchronous") : item.topic ? h("code", {}, `${item.topic} ${item.partition}:${item.offset}`) : soft("a call");

/** JSON as people read it. */
export function pretty(value) {
  return h("pre", { tabindex: "0" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

export function card(title, ...content) {
  const head = title ? (title instanceof Node ? title : h("h2", {}, title)) : null;
  return h("section", { class: "card" }, head, content);
}

/** The head of a page: where it is, what it is, what can be done. */
export function heading(name, up, ...actions) {
  return h("div", { class: "head" }, h("div", {}, up ? h("p", { class: "crumbs" }, link(`#/${up.toLowerCase().replaceAll(" ", "-")}`, up)) : null, h("h1", {}, name)),
    actions.length ? h("div", { class: "actions" }, actions) : null);
}

export const empty = (...text) => h("p", { class: "empty" }, text);

/** A table whose rows may lead somewhere: `rows` are `{cells, open, key, id}`; columns may be `number`, `wide`, `spark`, or not for a `phone`. */
export function table(columns, rows, nothing) {
  if (!rows.length) return h("div", { "data-key": "empty" }, nothing instanceof Node ? nothing : empty(nothing));
  const classes = columns.map((column) => ["number", "wide", "spark", "grow"].filter((name) => column[name]).concat(column.phone === false ? ["desk"] : []).join(" "));
  const head = columns.map((column, at) => h("th", { scope: "col", class: classes[at] }, column.title));
  const body = rows.map((row) => h("tr", { "data-open": row.open, "data-id": row.id, "data-key": row.key ?? row.open },
    row.cells.map((cell, at) => h("td", { class: classes[at], title: columns[at].wide && typeof cell === "string" ? cell : null }, cell))));
  return h("div", { class: "scroll", "data-key": "table" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value != null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A button that does something on the server and says what came of it. */
export function action(label, work, kind) {
  return h("button", {
    type: "button", class: kind, onclick: async (event) => {
      event.stopPropagation();
      const button = event.currentTarget;
      button.disabled = true;
      try { await work(); } catch (problem) { say(problem.message, true); } finally { button.disabled = false; }
    },
  }, label);
}

let statusTimer;
export function say(text, isBad) {
  const line = document.getElementById("status");
  line.textContent = text;
  line.className = isBad ? "bad" : "";
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => { line.textContent = ""; }, isBad ? 12_000 : 5000);
}

/** Asks before something that cannot be taken back. */
export function confirmed(title, text, yes, kind = "danger") {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-title").textContent = title;
  document.getElementById("confirm-text").textContent = text;
  const button = document.getElementById("confirm-yes");
  button.textContent = yes;
  button.className = kind === "danger" ? "main danger" : "main";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}
