// Topics: rates, lag, who reads them, and their events as they come.
import { api, follow, items, may, path } from "./api.js";
import { minute, spark } from "./charts.js";
import { badge, card, count, empty, h, heading, link, rate, say, soft, table, to, update } from "./core.js";
import { lagCell, lags } from "./parts.js";

const held = (item) => item.partitions.reduce((total, one) => total + one.end - one.start, 0);

export async function topics(view) {
  const list = h("div"), search = view.search("name");
  view.show(heading("Topics", null, search), card(null, list));
  await view.every(3, async () => {
    const [all, stats] = await Promise.all([api(path("topics")), api(`${path("stats")}?limit=500`)]);
    const rates = new Map(stats.topics.map((item) => [item.name, item])), late = lags(stats);
    update(list, table(
      [{ title: "Name", grow: true }, { title: "Last minute", spark: true, phone: false }, { title: "Rate", number: true }, { title: "Lag", number: true }, { title: "Events", number: true }, { title: "Partitions", number: true, phone: false }],
      items(all).filter((item) => item.name.includes(search.value.trim())).map((item) => ({
        open: to("topics", item.name),
        cells: [h("span", {}, link(to("topics", item.name), item.name), item.compact ? [" ", badge("", "compacted")] : null), spark(rates.get(item.name)?.records), rate(rates.get(item.name)?.perSecond ?? 0),
          lagCell(late.get(item.name) ?? 0), count(held(item)), count(item.partitions.length)],
      })), items(all).length ? "No topic has that in its name." : "There is no topic here. A manifest with kind: Topic makes one."));
  });
}

export async function oneTopic(view, name) {
  const partitions = h("div"), readers = h("div"), traffic = h("div"), events = h("tbody"), none = h("div", {}, empty("No event yet."));
  const most = 100;
  const read = async () => {
    const [item, stats] = await Promise.all([api(path("topics", name)), api(`${path("stats")}?limit=500`)]);
    update(partitions, table([{ title: "Partition", grow: true }, { title: "Start", number: true }, { title: "End", number: true }, { title: "Events", number: true }],
      item.partitions.map((one) => ({ key: String(one.partition), cells: [String(one.partition), count(one.start), count(one.end), count(one.end - one.start)] })), "None."));
    update(readers, table([{ title: "Function", grow: true }, { title: "Trigger", phone: false }, { title: "Unsettled", number: true }, { title: "Dead letters", number: true }, { title: "Lag", number: true }],
      stats.triggers.filter((each) => each.topic === name).map((each) => ({ open: to("functions", each.function), key: `${each.function} ${each.trigger}`,
        cells: [link(to("functions", each.function), each.function), each.trigger, count(each.unsettled), count(each.deadLetters), lagCell(each.lag)] })), "No function reads it."));
    const now = stats.topics.find((each) => each.name === name);
    update(traffic, now ? minute([{ name: "events", values: now.records, kind: "" }]) : empty("No event has come since the server started."));
    return item;
  };
  const item = await read();
  view.show(
    heading(h("span", {}, name, item.compact ? [" ", badge("", "compacted")] : null), "Topics"), may("producer") ? h("div", { class: "grid" }, card("Last minute", traffic), card("Publish", publishForm(name))) : card("Last minute", traffic),
    h("div", { class: "grid" }, card("Read by", readers), card("Partitions", partitions)),
    card(h("div", { class: "head" }, h("h2", {}, "Events, live"), view.liveButton()),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Place", "Type", "Key", "Data"].map((title) => h("th", { scope: "col", class: title === "Type" ? "desk" : title === "Data" ? "wide grow" : "" }, title)))), events)), none));
  view.every(3, read);
  const from = item.partitions.map((one) => `${one.partition}:${Math.max(one.start, one.end - 10)}`).join(",");
  follow(view, () => `${path("topics", name, "events")}?from=${encodeURIComponent(from)}`, (event) => {
    if (event.code || view.isPaused) return;
    const key = `${event.apuspartition ?? ""}:${event.apusoffset ?? ""}`;
    // A stream that was opened again begins where the first one did.
    if (events.querySelector(`[data-key="${key}"]`)) return;
    none.hidden = true;
    const data = event.data !== undefined ? JSON.stringify(event.data) : event.data_base64 ?? "";
    events.prepend(h("tr", { "data-key": key }, h("td", {}, h("code", {}, key)), h("td", { class: "desk" }, event.type), h("td", {}, event.partitionkey ?? soft("–")),
      h("td", { class: "wide grow", title: data.slice(0, 4000) }, h("code", {}, data.slice(0, 300)))));
    while (events.childElementCount > most) events.lastChild.remove();
  });
}

function publishForm(name) {
  const type = h("input", { id: "publish-type", name: "type", value: "com.example.test", "aria-label": "Type", spellcheck: "false", autocapitalize: "none" });
  const key = h("input", { id: "publish-key", name: "key", placeholder: "key", "aria-label": "Key", spellcheck: "false", autocapitalize: "none" });
  const data = h("textarea", { rows: "3", id: "publish-data", name: "data", "aria-label": "Data, JSON", spellcheck: "false" }, "{}");
  const send = async () => {
    let value;
    try { value = JSON.parse(data.value); } catch (error) { return say(`The data is no JSON: ${error.message}`, true); }
    const event = { specversion: "1.0", id: crypto.randomUUID?.() ?? `console-${Date.now()}`, source: "/console", type: type.value, data: value };
    if (key.value) event.partitionkey = key.value;
    try {
      const answer = await api(path("topics", name, "events"), { method: "POST", headers: { "Content-Type": "application/cloudevents+json" }, body: JSON.stringify(event) });
      say(`Published to ${answer.events?.map((each) => `${each.partition}:${each.offset}`).join(", ") ?? name}.`);
    } catch (problem) { say(problem.message, true); }
  };
  return h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); send(); } }, h("div", { class: "actions" }, type, key), data, h("div", { class: "actions" }, h("button", { class: "main" }, "Publish")));
}
