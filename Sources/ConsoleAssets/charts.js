// Small pictures, drawn as SVG or with boxes: lines of the last minute, a histogram, shares, timelines of attempts.
import { badge, count, empty, h, rate, soft, span } from "./core.js";

const height = 28;

function points(series, top, width, tall) {
  const step = width / Math.max(1, series.length - 1);
  return series.map((value, at) => `${(at * step).toFixed(1)} ${(tall - 1.5 - (value * (tall - 3)) / top).toFixed(1)}`);
}

/** A line with the surface below it. */
function line(series, top, kind, width, tall) {
  const all = points(series, top, width, tall);
  return [h("path", { class: `surface ${kind}`, d: `M0 ${tall} L${all.join(" L")} L${width} ${tall} Z` }), h("path", { class: `line ${kind}`, d: `M${all.join(" L")}` })];
}

/** The last values in a table's cell; failures lie over them in red. */
export function spark(values, failures) {
  if (!values?.length) return soft("–");
  const failed = failures?.some((value) => value > 0) ? failures : null;
  const whole = failed ? values.map((value, at) => value + failed[at]) : values;
  const top = Math.max(1, ...whole);
  return h("svg", { class: "spark", viewBox: `0 0 120 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `at most ${count(top)} a second${failed ? ", some failed" : ""}` },
    line(whole, top, "", 120, height), failed ? line(failed, top, "failed", 120, height) : null);
}

/** Several lines over one minute with a scale and a legend: `lines` are `{name, values, kind}`. */
export function minute(lines) {
  const shown = lines.filter((each) => each.values.length);
  const top = Math.max(1, ...shown.flatMap((each) => each.values));
  const scale = nice(top);
  const seconds = Math.max(0, ...shown.map((each) => each.values.length));
  const legend = h("p", { class: "legend" }, lines.map((each) => h("span", {}, h("i", { class: each.kind }), each.name, " ", h("b", {}, rate(mean(each.values))))));
  return h("div", { class: "chart" }, legend,
    h("div", { class: "plot" },
      h("svg", { viewBox: "0 0 600 120", preserveAspectRatio: "none", role: "img", "aria-label": `${lines.map((each) => each.name).join(", ")}: the last ${seconds} seconds` },
        [0, 60, 120].map((y) => h("line", { class: "rule", x1: 0, x2: 600, y1: y, y2: y })), shown.map((each) => line(each.values, scale, each.kind, 600, 120))),
      h("span", { class: "top" }, rate(scale)), h("span", { class: "middle" }, rate(scale / 2))),
    h("p", { class: "axis" }, h("span", {}, `${seconds} s ago`), h("span", {}, "now")));
}

const mean = (values) => { const last = values.slice(-5); return last.length ? last.reduce((sum, value) => sum + value, 0) / last.length : 0; };

/** The next round number up. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= value);
}

/** A histogram: each bar is what took at most so long and longer than the bar before. */
export function histogram(buckets) {
  if (!buckets?.length) return empty("No cold start yet.");
  const counts = new Map(buckets.map((bucket) => [bucket.atMost, bucket.count]));
  const bounds = [];
  for (let at = buckets[0].atMost; at <= buckets.at(-1).atMost; at *= 2) bounds.push(at);
  while (bounds.length < 6) bounds.length % 2 ? bounds.unshift(bounds[0] / 2) : bounds.push(bounds.at(-1) * 2);
  const top = Math.max(...counts.values());
  return h("div", { class: "bars", role: "img", "aria-label": buckets.map((bucket) => `${bucket.count} took at most ${span(bucket.atMost)}`).join(", ") },
    bounds.map((bound) => {
      const number = counts.get(bound) ?? 0;
      return h("div", { title: `${count(number)} took ${span(bound / 2)} to ${span(bound)}` },
        h("b", {}, number ? count(number) : ""), h("i", { class: number ? "" : "none", style: { height: `${(number * 100) / top}%` } }), h("span", {}, `≤ ${span(bound)}`));
    }));
}

/** Shares of a whole as one bar, and each with its number. */
export function shares(pairs, tone) {
  const whole = pairs.reduce((sum, [, number]) => sum + number, 0);
  return h("div", { class: "shares" },
    h("div", { class: "bar", role: "img", "aria-label": pairs.map(([name, number]) => `${number} ${name}`).join(", ") },
      pairs.filter(([, number]) => number).map(([name, number]) => h("i", { class: `tone ${tone(name)}`, title: `${number} ${name}`, style: { "flex-grow": String(number) } })), whole ? null : h("i", { class: "none" })),
    h("ul", {}, pairs.map(([name, number]) => h("li", { class: number ? "" : "soft" }, h("i", { class: `tone ${number ? tone(name) : "none"}` }), h("span", {}, name), h("b", {}, count(number))))));
}

const parts = ["queued", "starting", "running", "committing"];
const tiers = { ready: "a worker was ready", woken: "a worker woke up", cold: "cold start" };

/**
 * Attempts on one scale. Each is `{number, begins, spans, code, isOver, worker, start}`: microseconds from the first on, and how long each
 * part took. Between them lies the wait for the next attempt.
 */
export function timeline(rows) {
  if (!rows.length) return empty("No attempt yet.");
  const first = Math.min(...rows.map((row) => row.begins));
  const length = (row) => parts.reduce((sum, part) => sum + (row.spans[part] ?? 0), 0);
  const whole = Math.max(1, ...rows.map((row) => row.begins - first + length(row)));
  const at = (value) => `${(value * 100) / whole}%`;
  const drawn = rows.map((row, index) => {
    let place = row.begins - first;
    const before = index ? rows[index - 1] : null;
    const ended = before ? before.begins - first + length(before) : place;
    const pieces = parts.filter((part) => row.spans[part] > 0).map((part) => {
      const piece = h("i", { class: part, title: `${part} ${span(row.spans[part])}`, style: { left: at(place), width: at(row.spans[part]) } });
      place += row.spans[part];
      return piece;
    });
    const wait = row.begins - first - ended;
    const words = parts.filter((part) => row.spans[part] > 0).map((part) => `${part} ${span(row.spans[part])}`).join(" · ");
    return h("li", { class: "attempt" },
      h("div", { class: "name" }, h("b", {}, `Attempt ${row.number}`), row.code ? badge("failed", row.code) : badge(row.isOver ? "succeeded" : "running")),
      h("div", {}, h("div", { class: "track", role: "img", "aria-label": words }, wait > 0 ? h("i", { class: "wait", title: `waited ${span(wait)}`, style: { left: at(ended), width: at(wait) } }) : null, pieces),
        h("p", { class: "soft" }, [words, wait > 0 ? `after a wait of ${span(wait)}` : null, tiers[row.start], row.worker ? `worker ${row.worker}` : null].filter(Boolean).join(" · "))));
  });
  const shown = parts.filter((part) => rows.some((row) => row.spans[part] > 0));
  return h("div", { class: "timeline" },
    h("div", { class: "attempt ruler", "aria-hidden": "true" }, h("div", { class: "name" }), h("div", {}, [0, 0.25, 0.5, 0.75, 1].map((part) => h("span", { style: { left: `${part * 100}%` } }, part ? span(whole * part) : "0")))),
    h("ol", {}, drawn), h("p", { class: "legend" }, shown.map((part) => h("span", {}, h("i", { class: part }), part)), rows.length > 1 ? h("span", {}, h("i", { class: "wait" }), "waiting for the next attempt") : null));
}
