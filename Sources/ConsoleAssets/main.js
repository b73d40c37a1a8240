// Which page is shown, how often it asks again, and the keyboard.
import { h, namespace, Problem, setNamespace } from "./core.js";
import * as views from "./views.js";

const pages = {
  "": [views.overview], functions: [views.functions, views.oneFunction], topics: [views.topics, views.oneTopic],
  deliveries: [views.deliveries, views.oneDelivery], "dead-letters": [views.deadLetters, views.oneDeadLetter],
};
const sections = ["#/", "#/functions", "#/topics", "#/deliveries", "#/dead-letters"];
const main = document.getElementById("main");

/** A page while it is shown: what it asks for again, and what it closes when it is left. */
class View {
  constructor() {
    this.isOpen = true;
    this.leaving = [];
    this.tasks = [];
  }

  show(...content) { if (this.isOpen) main.replaceChildren(...content); }
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
    await task.run();
  }

  again() { for (const task of this.tasks) task.run(); }

  leave() {
    this.isOpen = false;
    for (const close of this.leaving) close();
  }
}

let current = new View();

async function open() {
  current.leave();
  const view = (current = new View());
  clearNotice();
  const [section = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.dataset.section === (section || "overview")) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  const page = pages[section]?.[rest.length ? 1 : 0];
  document.title = `${rest[0] ?? (section || "Overview")} · Apus`;
  if (!page) return view.show(h("p", { class: "notice" }, "There is no such page."));
  try { await page(view, ...rest); } catch (problem) { if (view.isOpen) notice(problem); }
}

function notice(problem) {
  if (!(problem instanceof Problem)) throw problem;
  clearNotice();
  const text = problem.status === 401 ? "You are not logged in, or not any more. Run “apus console” for a new link." : problem.message;
  main.prepend(h("p", { class: "notice bad", id: "notice", role: "alert" }, text));
}

function clearNotice() { document.getElementById("notice")?.remove(); }

// ---- the keyboard

function rows() { return [...document.querySelectorAll("main tr[data-open]")]; }

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("chosen"));
  all[at]?.classList.remove("chosen");
  const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
  next.classList.add("chosen");
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const chosen = document.querySelector("tr.chosen");
  if (event.key >= "1" && event.key <= "5") location.hash = sections[event.key - 1];
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Enter" && chosen && !event.target.closest("a, button")) location.hash = chosen.dataset.open;
  else if (event.key === "r" && chosen?.dataset.id) views.redrive(chosen.dataset.id, () => current.again());
  else if (event.key === "n") document.getElementById("namespace").select();
  else if (event.key === "?") document.getElementById("help").showModal();
  else return;
  event.preventDefault();
});

main.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-open]");
  if (row && !event.target.closest("a, button") && !String(getSelection())) location.hash = row.dataset.open;
});

document.getElementById("keys").addEventListener("click", () => document.getElementById("help").showModal());
const field = document.getElementById("namespace");
field.value = namespace();
document.getElementById("namespace-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setNamespace(field.value || "default");
  field.blur();
  open();
});
field.addEventListener("change", () => field.form.requestSubmit());
window.addEventListener("hashchange", open);
document.addEventListener("visibilitychange", () => { if (!document.hidden) current.again(); });
open();
