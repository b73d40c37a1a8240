// Pieces that more than one page shows.
import { namespace } from "./api.js";
import { ago, badge, between, count, h, link, place, soft, span, table, to } from "./core.js";

/** Lag by topic: the sum over its triggers. */
export function lags(stats) {
  const found = new Map();
  for (const trigger of stats.triggers) found.set(trigger.topic, (found.get(trigger.topic) ?? 0) + trigger.lag);
  return found;
}

// What is behind by less is on its way.
const lateFrom = 100;
export const lagCell = (lag) => lag >= lateFrom ? h("span", { class: "late" }, count(lag)) : lag ? count(lag) : soft("0");

export function deliveryTable(list, nothing = "Nothing has been delivered lately.") {
  return table(
    [{ title: "When" }, { title: "Function", grow: true }, { title: "Event", phone: false }, { title: "Attempts", number: true, phone: false }, { title: "Took", number: true }, { title: "State" }],
    list.map((item) => ({
      open: to("deliveries", item.id),
      cells: [ago(item.arrived), link(to("deliveries", item.id), item.function), place(item), count(item.attempts), item.settled ? span(between(item.arrived, item.settled)) : "–", badge(item.state)],
    })), nothing);
}

export function logLine(line) {
  return h("div", { class: line.level, title: [line.level, line.invocation && `invocation ${line.invocation}`].filter(Boolean).join(", ") }, h("time", {}, clock(line.time)), h("span", {}, line.text));
}

const clock = (text) => text ? new Date(text).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }) : "";

/** What a new server says instead of empty tables. */
export function welcome() {
  return h("section", { class: "card welcome" }, h("h2", {}, "Nothing is deployed yet"),
    h("p", {}, "Make a function, deploy it and call it. It shows up here by itself."),
    h("pre", {}, `apus init hello --runtime python3\napus deploy hello${flag()}\napus invoke hello --data '{"name": "Apus"}'${flag()}`));
}

const flag = () => namespace() === "default" ? "" : ` -n ${namespace()}`;
