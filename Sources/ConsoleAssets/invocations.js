// Asynchronous invocations, and the schedules that make some of them.
import { api, items, may, path, post } from "./api.js";
import { timeline } from "./charts.js";
import { action, ago, badge, between, bytes, card, confirmed, count, facts, h, hash, heading, link, pretty, say, soft, span, table, to, update } from "./core.js";
import { showPrinted } from "./deliveries.js";

const isOpen = (item) => item.state === "queued" || item.state === "running";

export async function invocations(view) {
  const list = h("div"), name = view.search("function");
  const state = view.choice("state", [["", "all states"], ...["queued", "running", "succeeded", "failed", "cancelled", "expired"].map((one) => [one, one])]);
  view.show(heading("Invocations", null, name, state), card(null, list));
  await view.every(2, async () => {
    const query = new URLSearchParams({ limit: "100" });
    if (state.value) query.set("state", state.value);
    if (name.value.trim()) query.set("function", name.value.trim());
    const all = items(await api(`${path("invocations")}?${query}`));
    update(list, table(
      [{ title: "Queued" }, { title: "Function", grow: true }, { title: "By", phone: false }, { title: "Attempts", number: true, phone: false }, { title: "Took", number: true }, { title: "State" }],
      all.map((item) => ({ open: to("invocations", item.id), cells: [ago(item.queued), link(to("invocations", item.id), item.function), item.principal, count(item.attempts), item.finished ? span(between(item.queued, item.finished)) : "–", badge(item.state)] })),
      state.value || name.value ? "None is such." : h("div", {}, h("p", { class: "empty" }, "No function was asked to run in the background. Calls with ", h("code", {}, "Prefer: respond-async"), " and schedules show up here, as does ", h("code", {}, "apus invoke NAME --async"), "."))));
  });
}

export async function oneInvocation(view, id) {
  const head = h("div"), summary = h("div"), course = h("div"), result = h("div"), printed = h("div");
  let isShown = false, isSettled = false;
  await view.every(1, async () => {
    if (isSettled) return;
    const item = await api(path("invocations", id));
    update(head, heading(h("code", {}, id), "Invocations", isOpen(item) && may("caller") ? [action("Cancel", () => cancel(view, id), "danger")] : []));
    const { done, total, message } = item.progress ?? {};
    update(summary, facts([
      ["State", badge(item.state)], ["Progress", item.progress ? h("span", {}, total ? h("progress", { max: total, value: done, "aria-label": "Progress" }) : null, ` ${count(done)}${total ? ` of ${count(total)}` : ""} ${message ?? ""}`) : null],
      ["Function", link(to("functions", item.function), item.function)], ["Asked by", item.principal], ["Queued", ago(item.queued)], ["Took", item.finished ? span(between(item.queued, item.finished)) : null],
      ["Attempts", count(item.attempts)], ["Revision", item.revision ? hash(item.revision) : null], ["Code", item.code ? badge("failed", item.code) : null], ["Message", item.message]]), item.detail ? pretty(item.detail) : null);
    update(course, timeline(rows(item)));
    if (item.result && item.result.bytes <= 65_536) update(result, pretty(await api(path("invocations", id, "result"))));
    else update(result, h("p", { class: "empty" }, item.result ? link(path("invocations", id, "result"), `${bytes(item.result.bytes)} of ${item.result.contentType}`) : isOpen(item) ? "Not yet." : "None."));
    await showPrinted(printed, item.function, id);
    if (!isShown) view.show(head, card("Course", course), h("div", { class: "grid" }, card("What", summary), card("Result", result)), card("What it printed", printed));
    isShown = true;
    isSettled = !isOpen(item);
  });
}

function rows(item) {
  if (!item.started) return [];
  const timing = item.timing ?? {}, waited = between(item.queued, item.started);
  const running = timing.running ?? between(item.started, item.finished ?? new Date().toISOString());
  const starting = Math.min(timing.starting ?? 0, waited);
  return [{ number: Math.max(1, item.attempts), begins: 0, spans: { queued: waited - starting, starting, running }, code: item.code, isOver: Boolean(item.finished), start: timing.start }];
}

async function cancel(view, id) {
  if (!await confirmed("Cancel this invocation?", "One that waits never runs; one that runs is told, and its worker is ended unless it answers.", "Cancel it")) return;
  await api(path("invocations", id), { method: "DELETE" });
  say("Cancelled.");
  view.again();
}

export async function schedules(view) {
  const list = h("div");
  view.show(heading("Schedules"), card(null, list));
  await view.every(3, async () => {
    const all = items(await api(path("schedules")));
    update(list, table(
      [{ title: "Function", grow: true }, { title: "Trigger", phone: false }, { title: "Cron" }, { title: "Zone", phone: false }, { title: "If missed", phone: false }, { title: "Last", phone: false }, { title: "Next" }, { title: "" }],
      all.map((item) => ({
        key: `${item.function} ${item.trigger}`, open: to("functions", item.function),
        cells: [link(to("functions", item.function), item.function), item.trigger, h("code", {}, item.cron), item.zone, item.missed,
          item.last ? (item.last.invocation ? link(to("invocations", item.last.invocation), ago(item.last.fired)) : ago(item.last.fired)) : soft("never"),
          item.problem ? badge("failed", item.problem) : item.paused ? badge("paused") : ago(item.next), may("deployer") ? pause(view, item) : ""],
      })), h("p", { class: "empty" }, "No function has a schedule. In a manifest: ", h("code", {}, 'triggers: [{schedule: "*/5 * * * *"}]'))));
  });
}

function pause(view, item) {
  const verb = item.paused ? "Resume" : "Pause";
  return action(verb, async () => {
    await post(path("functions", item.function, verb.toLowerCase()), { trigger: item.trigger });
    say(item.paused ? `${item.trigger} of ${item.function} fires again.` : `${item.trigger} of ${item.function} is paused.`);
    view.again();
  });
}
