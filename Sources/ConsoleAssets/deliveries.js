// Recent deliveries and direct calls, each with its attempts as a timeline and what it printed.
import { api, items, path } from "./api.js";
import { timeline } from "./charts.js";
import { ago, badge, between, bytes, card, empty, facts, h, hash, heading, link, span, to, update } from "./core.js";
import { deliveryTable, logLine } from "./parts.js";

const states = ["running", "retrying", "succeeded", "failed", "deadLettered", "dropped", "cancelled"];
const words = { deadLettered: "dead letter" };

export async function deliveries(view) {
  const list = h("div"), note = h("p", { class: "soft" });
  const state = view.choice("state", [["", "all states"], ...states.map((one) => [one, words[one] ?? one])]), name = view.search("function");
  view.show(heading("Deliveries", null, name, state, view.liveButton()), card(null, list, note));
  let wanted = "";
  await view.every(2, async () => {
    const query = new URLSearchParams({ limit: "100" });
    if (state.value) query.set("state", state.value);
    if (name.value.trim()) query.set("function", name.value.trim());
    const isAsked = wanted !== String(query);
    wanted = String(query);
    const answer = await api(`${path("deliveries")}?${query}`);
    if (view.isHeld(list) && !isAsked) return;
    update(list, deliveryTable(items(answer), state.value || name.value ? "None of the recent ones is such." : undefined));
    update(note, `Kept in memory: every failure, what took longer than a second, and ${answer.sampling?.successesPerSecond ?? "some"} successes a second.`);
  });
}

export async function oneDelivery(view, id) {
  const summary = h("div"), attempts = h("div"), printed = h("div");
  let isSettled = false, isShown = false;
  await view.every(2, async () => {
    if (isSettled) return;
    const item = await api(path("deliveries", id));
    update(summary, facts([
      ["State", badge(item.state)], ["Message", item.message], ["Function", link(to("functions", item.function), item.function)], ["Trigger", item.trigger], ["Event", item.topic ? link(to("topics", item.topic), `${item.topic} ${item.partition}:${item.offset}`) : "a direct call"],
      ["Id", item.event?.id], ["Type", item.event?.type], ["Source", item.event?.source], ["Data", item.event ? bytes(item.event.bytes) : null], ["Arrived", ago(item.arrived)],
      ["Took", item.settled ? span(between(item.arrived, item.settled)) : null], ["Revision", hash(item.revision)], ["Trace", item.trace ? h("code", {}, item.trace) : null]]));
    update(attempts, timeline(rows(item)), item.attempts > (item.lastAttempts ?? []).length ? h("p", { class: "soft" }, `The last ${item.lastAttempts.length} of ${item.attempts} attempts.`) : null);
    await showPrinted(printed, item.function, id);
    if (!isShown) view.show(heading(h("code", {}, id), "Deliveries"), card("Attempts", attempts), h("div", { class: "grid" }, card("What", summary), card("What it printed", printed)));
    isShown = true;
    isSettled = Boolean(item.settled);
  });
}

/** Lines that an invocation printed, of the function's newest. */
export async function showPrinted(parent, name, id) {
  const lines = items(await api(`${path("functions", name, "logs")}?limit=1000`)).filter((line) => line.invocation === id);
  update(parent, lines.length ? h("div", { class: "log", tabindex: "0", "aria-label": "What it printed" }, lines.map(logLine)) : empty("Nothing, or it is no longer among the function's last 1 000 lines."));
}

/** Attempts from when they were queued to when their outcome was durable, in microseconds from the arrival on. */
function rows(item) {
  return (item.lastAttempts ?? []).map((attempt, index, all) => {
    const timing = attempt.timing ?? {}, dispatched = between(item.arrived, attempt.dispatched);
    const running = timing.running ?? (attempt.ended ? between(attempt.dispatched, attempt.ended) : between(attempt.dispatched, new Date().toISOString()));
    const committing = timing.committing ?? (index === all.length - 1 ? item.committing : 0) ?? 0;
    const spans = { queued: timing.queued ?? 0, starting: timing.starting ?? 0, running, committing };
    return { number: attempt.number, begins: dispatched - spans.starting - spans.queued, spans, code: attempt.code, isOver: Boolean(attempt.ended), worker: attempt.worker, start: timing.start };
  });
}
