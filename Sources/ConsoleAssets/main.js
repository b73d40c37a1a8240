// Which page is shown, how often it asks again, who is logged in, and the keyboard.
import { api, namespace, namespaces, Problem, setNamespace, setRoles } from "./api.js";
import { h, update } from "./core.js";
import { approvals, oneApproval } from "./approvals.js";
import { deliveries, oneDelivery } from "./deliveries.js";
import { functions, oneFunction } from "./functions.js";
import { invocations, oneInvocation, schedules } from "./invocations.js";
import { deadLetters, oneDeadLetter, redrive } from "./letters.js";
import { overview } from "./overview.js";
import { oneTopic, topics } from "./topics.js";

const pages = {
  "": [overview], functions: [functions, oneFunction], topics: [topics, oneTopic], deliveries: [deliveries, oneDelivery],
  invocations: [invocations, oneInvocation], schedules: [schedules], "dead-letters": [deadLetters, oneDeadLetter],
  approvals: [approvals, oneApproval],
};
const main = document.getElementById("main");
const byId = (id) => document.getElementById(id);
const canHover = matchMedia("(hover: hover)");

/** A page while it is shown: what it asks for again, and what it closes when it is left. */
class View {
  constructor(query) {
    this.query = query;
    this.isOpen = true;
    this.isPaused = false;
    this.isShown = false;
    this.leaving = [];
    this.tasks = [];
    this.lives = [];
  }

  show(...content) {
    if (!this.isOpen) return;
    main.replaceChildren(...content.filter(Boolean));
    if (!this.isShown && isMoving) main.focus({ preventScroll: true });
    if (!this.isShown) scrollTo(0, 0);
    this.isShown = true;
  }

  onLeave(close) { this.isOpen ? this.leaving.push(close) : close(); }

  /** Now, and again every so many seconds while somebody looks. */
  async every(seconds, work) {
    const task = { isBusy: false };
    task.run = async () => {
      if (!this.isOpen || task.isBusy) return;
      task.isBusy = true;
      try {
        await work();
        if (this.isOpen) clearNotice();
      } catch (problem) { if (this.isOpen) notice(problem); } finally { task.isBusy = false; }
    };
    this.tasks.push(task);
    const timer = setInterval(() => { if (!document.hidden) task.run(); }, seconds * 1000);
    this.onLeave(() => clearInterval(timer));
    task.first = task.run();
    await task.first;
  }

  again() { return Promise.all(this.tasks.map((task) => task.run())); }
  restart() { if (this.isOpen) open(); }

  /** Rows that move away under the pointer are clicked by mistake: a list stays while it is pointed at. */
  isHeld(list) { return this.isPaused || (list.childElementCount > 0 && canHover.matches && list.matches(":hover")); }

  liveButton() {
    const button = h("button", { type: "button", class: "live", "aria-pressed": "true", title: "Pause what moves (p)", onclick: () => this.pause() }, "Live");
    this.lives.push(button);
    return button;
  }

  pause() {
    this.isPaused = !this.isPaused;
    for (const button of this.lives) {
      button.setAttribute("aria-pressed", String(!this.isPaused));
      button.textContent = this.isPaused ? "Paused" : "Live";
    }
    if (!this.isPaused) this.again();
  }

  /** A field that narrows the list down. */
  search(what) {
    return h("input", { type: "search", id: "search", name: "search", placeholder: what, "aria-label": what, size: "14", spellcheck: "false", autocapitalize: "none", autocomplete: "off", value: this.query.get("search"), oninput: () => this.again() });
  }

  choice(name, options) {
    const asked = this.query.get(name);
    return h("select", { id: name, name, "aria-label": name, onchange: () => this.again() }, options.map(([value, text]) => h("option", { value, selected: value === asked }, text)));
  }

  leave() {
    this.isOpen = false;
    for (const close of this.leaving) close();
  }
}

const retrySeconds = 3, healthSeconds = 5;
let current = new View(new URLSearchParams());
let isMoving = false;

async function open() {
  current.leave();
  const [where, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const view = (current = new View(new URLSearchParams(query)));
  clearNotice();
  const [section = "", ...rest] = where.split("/").map(decodeURIComponent);
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.dataset.section === (section || "overview")) {
      anchor.setAttribute("aria-current", "page");
      if (anchor.parentElement.scrollWidth > anchor.parentElement.clientWidth) anchor.scrollIntoView({ block: "nearest", inline: "center" });
    } else anchor.removeAttribute("aria-current");
  }
  const page = pages[section]?.[rest.length ? 1 : 0];
  const title = section ? document.querySelector(`nav a[data-section="${CSS.escape(section)}"]`)?.textContent ?? section : "Overview";
  document.title = `${rest[0] ? `${rest[0].slice(0, 32)} · ` : ""}${title} · Apus`;
  if (!page) return view.show(h("p", { class: "notice" }, "There is no such page."));
  try { await page(view, ...rest); } catch (problem) {
    if (!view.isOpen) return;
    notice(problem);
    // A page that never came is asked for again where that may help.
    if (problem.status === 0 || problem.status >= 500) later(view, open);
  }
}

function later(view, work) {
  const timer = setTimeout(work, retrySeconds * 1000);
  view.onLeave(() => clearTimeout(timer));
}

function notice(problem) {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401) return loggedOut();
  if (problem.status === 0) health();
  // What was shown stays; a page that never came is only what went wrong.
  if (!current.isShown) main.replaceChildren();
  clearNotice();
  main.prepend(h("p", { class: "notice bad", id: "notice", role: "alert" }, problem.message));
}

function clearNotice() { byId("notice")?.remove(); }

// ---- who is logged in, and how the server is

function loggedOut() {
  current.leave();
  document.body.classList.add("out");
  byId("leave").hidden = true;
  update(byId("who"));
  update(byId("health"));
  main.replaceChildren(h("section", { class: "card welcome" }, h("h1", {}, "Log in"), h("p", {}, "Where the server runs, or with a token of it, ask for a link. It works once, for 60 seconds:"), h("pre", {}, "apus console"),
    h("p", { class: "soft" }, "A session ends after two hours without a request, after twelve hours, or when the server restarts.")));
}

async function start() {
  let principal;
  try { principal = await api("/v1/principal"); } catch (problem) {
    notice(problem);
    return problem.status === 401 ? undefined : later(current, start);
  }
  document.body.classList.remove("out");
  setRoles(principal.roles);
  update(byId("who"), h("b", {}, principal.name), " ", h("span", { class: "soft" }, principal.roles.join(", ")));
  byId("leave").hidden = false;
  update(byId("namespaces"), namespaces().map((name) => h("option", { value: name })));
  health();
  open();
}

async function health() {
  if (document.hidden || document.body.classList.contains("out")) return;
  let problems;
  try {
    const answer = await fetch("/readyz", { credentials: "same-origin" });
    problems = answer.status === 401 ? null : (await answer.json()).problems ?? [];
  } catch { problems = ["The server does not answer"]; }
  if (problems) update(byId("health"), h("i", { class: problems.length ? "bad" : "good" }), problems.length ? problems.join("; ") : "Ready");
}

byId("leave").addEventListener("click", async () => {
  try { await api("/logout", { method: "POST" }); } finally { loggedOut(); }
});

// ---- the keyboard

function move(step) {
  const rows = [...main.querySelectorAll("tr[data-open]")].filter((row) => row.querySelector("a"));
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  next?.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target.closest("input, textarea")) return event.target.blur();
  if (event.target.closest("input, textarea, select") || document.querySelector("dialog[open]")) return;
  const sections = document.querySelectorAll("nav a");
  const row = document.activeElement.closest("tr[data-id]");
  if (event.key >= "1" && event.key <= String(sections.length)) sections[event.key - 1].click();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "u") main.querySelector(".crumbs a")?.click();
  else if (event.key === "r" && row) {
    // The row goes away: the focus goes to the next one before it is lost.
    (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("a")?.focus();
    redrive(row.dataset.id, () => current.again());
  }
  else if (event.key === "p") current.pause();
  else if (event.key === "/" && byId("search")) byId("search").select();
  else if (event.key === "n") byId("namespace").select();
  else if (event.key === "?") byId("help").showModal();
  else return;
  event.preventDefault();
});

main.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-open]");
  if (row && !event.target.closest("a, button") && !String(getSelection())) location.hash = row.dataset.open;
});

byId("keys").addEventListener("click", () => byId("help").showModal());
const field = byId("namespace");
field.value = namespace();
byId("namespace-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setNamespace(field.value || "default");
  field.value = namespace();
  field.blur();
  // What one namespace calls so may be something else in another.
  const list = location.hash.split("/").slice(0, 2).join("/");
  if (list === location.hash || !location.hash) open(); else location.hash = list;
});
field.addEventListener("change", () => field.form.requestSubmit());
window.addEventListener("hashchange", () => { isMoving = true; open(); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  // A link may have been opened in another tab meanwhile.
  if (document.body.classList.contains("out")) return start();
  current.again();
  health();
});
setInterval(health, healthSeconds * 1000);
start();
