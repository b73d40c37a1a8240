// What happens right now, on one page.
import { api, follow, items, path } from "./api.js";
import { histogram, minute, shares, spark } from "./charts.js";
import { card, count, h, heading, link, rate, span, table, to, tone, update } from "./core.js";
import { deliveryTable, lagCell, lags, welcome } from "./parts.js";

// A tile needs no more than an idea of how many there are.
const lettersCounted = 100;
const sum = (list, name) => list.reduce((total, item) => total + (item[name] ?? 0), 0);
const added = (list, name) => list.reduce((total, item) => (item[name] ?? []).map((value, at) => value + (total[at] ?? 0)), []);

export async function overview(view) {
  const tiles = h("div", { class: "tiles" }), traffic = h("div"), topics = h("div"), functions = h("div"), states = h("div"), starts = h("div"), recent = h("div"), summary = h("span", { class: "soft" });
  const frame = [
    heading("Overview", null, view.liveButton()), tiles, card("Traffic, last minute", traffic),
    h("div", { class: "grid" }, card("Functions", functions), card("Topics", topics)),
    h("div", { class: "grid" }, card("Instances by state", states), card(h("div", { class: "head" }, h("h2", {}, "Cold starts"), summary), starts)),
    card(h("div", { class: "head" }, h("h2", {}, "Recent deliveries"), link("#/deliveries", "all")), recent)];
  let letters = null, isShown = false;
  const render = (stats) => {
    if (view.isPaused && isShown) return;
    const failing = sum(stats.functions, "failuresPerSecond"), behind = sum(stats.triggers, "lag");
    update(tiles,
      tile(rate(sum(stats.topics, "perSecond")), "events in", "#/topics"), tile(rate(sum(stats.functions, "perSecond")), "attempts", "#/functions"),
      tile(rate(failing), "failures", "#/deliveries?state=failed", failing > 0 && "bad"), tile(count((stats.instances.ready ?? 0) + (stats.instances.busy ?? 0)), "workers", "#/functions"),
      tile(count(behind), "events behind", "#/topics", behind > 1000 && "warn"), tile(letters >= lettersCounted ? `${lettersCounted}+` : count(letters), "dead letters", "#/dead-letters", letters > 0 && "bad"));
    update(traffic, minute([
      { name: "events in", values: added(stats.topics, "records"), kind: "" }, { name: "attempts", values: added(stats.functions, "succeeded"), kind: "second" },
      { name: "failures", values: added(stats.functions, "failed"), kind: "failed" }]));
    update(functions, table(
      [{ title: "Name", grow: true }, { title: "Last minute", spark: true, phone: false }, { title: "Rate", number: true }, { title: "p50", number: true }, { title: "p99", number: true }],
      stats.functions.slice(0, 12).map((item) => ({ open: to("functions", item.name), cells: [link(to("functions", item.name), item.name), spark(item.succeeded, item.failed), rate(item.perSecond), span(item.running.p50), span(item.running.p99)] })),
      "Nothing has run since the server started."));
    const late = lags(stats);
    update(topics, table(
      [{ title: "Name", grow: true }, { title: "Last minute", spark: true, phone: false }, { title: "Rate", number: true }, { title: "Lag", number: true }],
      stats.topics.slice(0, 12).map((item) => ({ open: to("topics", item.name), cells: [link(to("topics", item.name), item.name), spark(item.records), rate(item.perSecond), lagCell(late.get(item.name) ?? 0)] })),
      "No event has come since the server started."));
    update(states, shares(Object.entries(stats.instances), tone));
    const { p50, p99 } = stats.coldStarts;
    update(summary, stats.coldStarts.count ? `${count(stats.coldStarts.count)} · p50 ${span(p50)} · p99 ${span(p99)}` : "");
    update(starts, histogram(stats.coldStarts.buckets));
    if (!isShown) view.show(...frame);
    isShown = true;
  };
  const [stats, deployed] = [await api(path("stats")), items(await api(path("functions")))];
  const isFresh = !deployed.length && !stats.topics.length && !stats.functions.length;
  if (isFresh) view.show(heading("Overview"), welcome());
  view.every(isFresh ? 2 : 5, async () => {
    if (isFresh) return items(await api(path("functions"))).length ? view.restart() : undefined;
    letters = items(await api(`${path("dead-letters")}?limit=${lettersCounted}&state=open`)).length;
    const last = items(await api(`${path("deliveries")}?limit=10`));
    if (!view.isHeld(recent)) update(recent, deliveryTable(last));
  });
  if (isFresh) return;
  render(stats);
  follow(view, () => path("stats"), render);
}

function tile(value, name, leads, kind) {
  const [number, unit] = value.split("\u00a0");
  return h("a", { class: `tile ${kind || ""}`, href: leads }, h("b", {}, number, unit ? h("small", {}, ` ${unit}`) : null), h("span", {}, name));
}
