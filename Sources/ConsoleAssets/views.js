// The pages of the console. Each view fills <main> and may ask again every so often; all of it comes from the API that users have.
import { ago, api, badge, bars, bytes, card, count, facts, follow, h, hash, link, namespace, path, pretty, rate, say, spark, span, table } from "./core.js";

const items = (answer) => answer.items ?? [];
const to = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

// ---- overview

export async function overview(view) {
  const tiles = h("div", { class: "tiles" });
  const topics = h("div"), functions = h("div"), states = h("div"), starts = h("div"), recent = h("div");
  view.show(
    h("h1", { class: "phone-hidden" }, "Overview"), tiles,
    h("div", { class: "grid" }, card("Functions", functions), card("Topics", topics)),
    h("div", { class: "grid" }, card("Instances by state", states), card("Cold starts", starts)),
    card("Recent deliveries", recent));
  let letters = null;
  const tile = (value, name, isBad) => h("div", { class: `tile ${isBad ? "bad" : ""}` }, h("b", {}, value), h("span", {}, name));
  view.every(5, async () => {
    letters = items(await api(`${path("dead-letters")}?limit=1000`)).length;
    recent.replaceChildren(deliveryTable(items(await api(`${path("deliveries")}?limit=10`))));
  });
  const render = (stats) => {
    const sum = (list, name) => list.reduce((total, item) => total + (item[name] ?? 0), 0);
    const failing = sum(stats.functions, "failuresPerSecond");
    tiles.replaceChildren(
      tile(rate(sum(stats.topics, "perSecond")), "events in"), tile(rate(sum(stats.functions, "perSecond")), "attempts"),
      tile(rate(failing), "failures", failing > 0), tile(count((stats.instances.ready ?? 0) + (stats.instances.busy ?? 0)), "workers"),
      tile(count(sum(stats.triggers, "lag")), "events behind"), tile(letters >= 1000 ? "1 000+" : count(letters), "open dead letters", letters > 0));
    functions.replaceChildren(table(
      [{ title: "Name" }, { title: "Last minute", phone: false }, { title: "Rate", number: true }, { title: "p50", number: true }, { title: "p99", number: true, phone: false }],
      stats.functions.map((item) => ({ open: to("functions", item.name), cells: [link(to("functions", item.name), item.name), spark(item.succeeded, item.failed), rate(item.perSecond), span(item.running.p50), span(item.running.p99)] })),
      "Nothing has run yet. Deploy a function: apus init hello && apus deploy hello"));
    const lags = new Map();
    for (const trigger of stats.triggers) lags.set(trigger.topic, (lags.get(trigger.topic) ?? 0) + trigger.lag);
    topics.replaceChildren(table(
      [{ title: "Name" }, { title: "Last minute", phone: false }, { title: "Rate", number: true }, { title: "Lag", number: true }],
      stats.topics.map((item) => ({ open: to("topics", item.name), cells: [link(to("topics", item.name), item.name), spark(item.records), rate(item.perSecond), count(lags.get(item.name) ?? 0)] })),
      "No event has come yet."));
    states.replaceChildren(h("div", { class: "states" }, Object.entries(stats.instances).map(([state, number]) => badge(number ? state : "", `${state} ${number}`))));
    const { p50, p99 } = stats.coldStarts;
    starts.replaceChildren(h("p", { class: "soft" }, `${count(stats.coldStarts.count)} since the start of the server; p50 ${span(p50)}, p99 ${span(p99)}`), bars(stats.coldStarts.buckets));
  };
  follow(view, path("stats"), render);
  render(await api(path("stats")));
}

// ---- functions

export async function functions(view) {
  const list = h("div");
  view.show(h("h1", {}, "Functions"), card(null, list));
  await view.every(3, async () => {
    const rows = items(await api(path("functions"))).map((item) => {
      const spec = item.manifest?.spec ?? {};
      return { open: to("functions", item.name), cells: [link(to("functions", item.name), item.name), spec.runtime ?? "", triggerWords(spec), hash(item.revision), ago(item.updated)] };
    });
    list.replaceChildren(table(
      [{ title: "Name" }, { title: "Runtime" }, { title: "Triggers", wide: true }, { title: "Revision", phone: false }, { title: "Updated", phone: false }], rows,
      `Nothing is deployed in the namespace ${namespace()}. Try: apus init hello && apus deploy hello`));
  });
}

function triggerWords(spec) {
  const words = (spec.triggers ?? []).map((trigger) => trigger.topic ? `${trigger.table ? "table" : "topic"} ${trigger.topic}`
    : trigger.http ? `${(trigger.http.methods ?? []).join(" ")} /fn${trigger.http.path}` : trigger.schedule ? `at ${trigger.schedule.cron ?? trigger.schedule}` : "");
  return words.length ? words.join(", ") : h("span", { class: "soft" }, "calls only");
}

export async function oneFunction(view, name) {
  const summary = h("div"), lag = h("div"), instances = h("div"), revisions = h("div"), recent = h("div"), log = h("div", { class: "log", tabindex: "0", "aria-label": "Log" });
  view.show(
    h("div", {}, h("p", { class: "crumbs" }, link("#/functions", "Functions"), " / "), h("h1", {}, name)),
    h("div", { class: "grid" }, card("Revision in use", summary), card("Try it", tryForm(name))),
    h("div", { class: "grid" }, card("Instances", instances), card("Positions", lag)),
    card("Log, live", log), h("div", { class: "grid" }, card("Recent deliveries", recent), card("Revisions", revisions)));
  followLog(view, name, log);
  await view.every(3, async () => {
    const item = await api(path("functions", name));
    const spec = item.manifest.spec;
    summary.replaceChildren(facts([
      ["Description", spec.description], ["Runtime", spec.runtime], ["Handler", h("code", {}, spec.handler)], ["Triggers", triggerWords(spec)],
      ["Revision", hash(item.revision)], ["Generation", count(item.generation)], ["Timeout", spec.timeout], ["Workers", `${spec.scale.min} to ${spec.scale.max}, ${spec.concurrency} at once in each`],
      ["Memory", spec.resources.memory], ["Updated", ago(item.updated)]]));
    instances.replaceChildren(table([{ title: "Worker" }, { title: "State" }, { title: "In flight", number: true }, { title: "Since", number: true }],
      items({ items: item.instances }).map((worker) => ({ cells: [String(worker.worker), badge(worker.state), count(worker.inFlight), ago(worker.since)] })), "None: it starts when something comes."));
    lag.replaceChildren(table([{ title: "Topic" }, { title: "Partition", number: true }, { title: "At", number: true }, { title: "Lag", number: true }],
      (item.positions ?? []).map((place) => ({ cells: [link(to("topics", place.topic), place.topic), count(place.partition), count(place.watermark), count(place.lag)] })), "It reads no topic."));
    const kept = items(await api(path("functions", name, "revisions")));
    revisions.replaceChildren(table([{ title: "Revision" }, { title: "Generation", number: true }, { title: "Deployed", number: true }, { title: "" }],
      kept.map((one) => ({ cells: [hash(one.revision), count(one.generation), ago(one.deployed), one.revision === item.revision ? badge("ready", "in use") : rollback(name, one.revision)] })), "None."));
    recent.replaceChildren(deliveryTable(items(await api(`${path("deliveries")}?limit=10&function=${encodeURIComponent(name)}`))));
  });
}

function rollback(name, revision) {
  return h("button", {
    onclick: async (event) => {
      event.stopPropagation();
      if (!confirm(`Return ${name} to the revision ${revision.slice(0, 12)}?`)) return;
      try {
        await api(path("functions", name, "rollback"), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ revision }) });
        say(`${name} is back at ${revision.slice(0, 12)}`);
      } catch (problem) { say(problem.message); }
    },
  }, "Roll back");
}

function tryForm(name) {
  const data = h("textarea", { rows: "4", "aria-label": "Data", spellcheck: "false", style: { width: "100%" } }, "{}");
  const answer = h("div");
  const run = async (event) => {
    event.preventDefault();
    const started = performance.now();
    try {
      const type = isJSON(data.value) ? "application/json" : "text/plain";
      const result = await api(path("functions", name, "invoke"), { method: "POST", headers: { "Content-Type": type }, body: data.value });
      answer.replaceChildren(h("p", { class: "soft" }, `answered in ${span((performance.now() - started) * 1000)}`), pretty(result === "" ? "(nothing)" : result));
    } catch (problem) {
      answer.replaceChildren(h("p", { class: "notice bad" }, problem.code), pretty(problem.message));
    }
  };
  return h("form", { onsubmit: run }, data, h("p", { class: "actions" }, h("button", {}, "Invoke")), answer);
}

function isJSON(text) { try { JSON.parse(text); return true; } catch { return false; } }

function followLog(view, name, log) {
  const most = 500;
  follow(view, `${path("functions", name, "logs")}?limit=100`, (line) => {
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(h("div", { class: line.level, title: line.invocation ? `invocation ${line.invocation}` : "" }, h("time", {}, (line.time ?? "").slice(11, 23)), line.text));
    while (log.childElementCount > most) log.firstChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
}

// ---- topics

export async function topics(view) {
  const list = h("div");
  view.show(h("h1", {}, "Topics"), card(null, list));
  await view.every(3, async () => {
    const [all, stats] = [items(await api(path("topics"))), await api(path("stats"))];
    const rates = new Map(stats.topics.map((item) => [item.name, item]));
    const lags = new Map();
    for (const trigger of stats.triggers) lags.set(trigger.topic, (lags.get(trigger.topic) ?? 0) + trigger.lag);
    list.replaceChildren(table(
      [{ title: "Name" }, { title: "Last minute", phone: false }, { title: "Rate", number: true }, { title: "Lag", number: true }, { title: "Events", number: true }, { title: "Partitions", number: true, phone: false }],
      all.map((item) => ({
        open: to("topics", item.name),
        cells: [h("span", {}, link(to("topics", item.name), item.name), item.compact ? " " : null, item.compact ? badge("", "compacted") : null), spark(rates.get(item.name)?.records ?? []), rate(rates.get(item.name)?.perSecond ?? 0),
          count(lags.get(item.name) ?? 0), count(item.partitions.reduce((total, one) => total + one.end - one.start, 0)), count(item.partitions.length)],
      })), "There is no topic here yet."));
  });
}

export async function oneTopic(view, name) {
  const partitions = h("div"), events = h("tbody");
  const most = 100;
  view.show(
    h("div", {}, h("p", { class: "crumbs" }, link("#/topics", "Topics"), " / "), h("h1", {}, name)), card("Partitions", partitions),
    card("Events, live", h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Place", "Type", "Key", "Data"].map((title) => h("th", { scope: "col" }, title)))), events))));
  const read = async () => {
    const item = await api(path("topics", name));
    partitions.replaceChildren(table([{ title: "Partition" }, { title: "Start", number: true }, { title: "End", number: true }, { title: "Events", number: true }],
      item.partitions.map((one) => ({ cells: [String(one.partition), count(one.start), count(one.end), count(one.end - one.start)] })), "None."));
    return item;
  };
  const item = await read();
  view.every(5, read);
  const from = item.partitions.map((one) => `${one.partition}:${Math.max(one.start, one.end - 10)}`).join(",");
  follow(view, `${path("topics", name, "events")}?from=${encodeURIComponent(from)}`, (event) => {
    if (event.code) return;
    const data = event.data !== undefined ? JSON.stringify(event.data) : event.data_base64 ?? "";
    events.prepend(h("tr", {}, h("td", {}, h("code", {}, `${event.apuspartition ?? ""}:${event.apusoffset ?? ""}`)), h("td", {}, event.type), h("td", {}, event.partitionkey ?? h("span", { class: "soft" }, "–")),
      h("td", { class: "wide mono", title: data.slice(0, 4000) }, data.slice(0, 300))));
    while (events.childElementCount > most) events.lastChild.remove();
  });
}

// ---- deliveries

function deliveryTable(list) {
  return table(
    [{ title: "When" }, { title: "Function" }, { title: "From", phone: false }, { title: "Attempts", number: true, phone: false }, { title: "Took", number: true }, { title: "State" }],
    list.map((item) => ({
      open: to("deliveries", item.id),
      cells: [ago(item.arrived), link(to("deliveries", item.id), item.function), item.topic ? h("code", {}, `${item.topic} ${item.partition}:${item.offset}`) : h("span", { class: "soft" }, "a call"),
        count(item.attempts), item.settled ? span((Date.parse(item.settled) - Date.parse(item.arrived)) * 1000) : "–", badge(item.state)],
    })), "Nothing has been delivered lately.");
}

export async function deliveries(view) {
  const list = h("div"), note = h("p", { class: "soft" });
  const states = ["", "running", "retrying", "succeeded", "failed", "deadLettered", "dropped", "cancelled"];
  const state = h("select", { "aria-label": "State", onchange: () => view.again() }, states.map((one) => h("option", { value: one }, one || "all states")));
  const name = h("input", { "aria-label": "Function", placeholder: "function", size: "14", oninput: () => view.again() });
  view.show(h("div", { class: "head" }, h("h1", {}, "Deliveries"), h("div", { class: "actions" }, name, state)), card(null, list, note));
  await view.every(2, async () => {
    const query = new URLSearchParams({ limit: "100" });
    if (state.value) query.set("state", state.value);
    if (name.value) query.set("function", name.value);
    const answer = await api(`${path("deliveries")}?${query}`);
    list.replaceChildren(deliveryTable(items(answer)));
    note.textContent = `Kept in memory: every failure and what is slow, and ${answer.sampling?.successesPerSecond ?? "some"} successes a second.`;
  });
}

export async function oneDelivery(view, id) {
  const summary = h("div"), attempts = h("div");
  view.show(h("div", {}, h("p", { class: "crumbs" }, link("#/deliveries", "Deliveries"), " / "), h("h1", { class: "mono" }, id)), h("div", { class: "grid" }, card("What", summary)), card("Attempts", attempts));
  await view.every(2, async () => {
    const item = await api(path("deliveries", id));
    summary.replaceChildren(facts([
      ["State", badge(item.state)], ["Function", link(to("functions", item.function), item.function)], ["Trigger", item.trigger], ["Event", item.topic ? `${item.topic} ${item.partition}:${item.offset}` : "a direct call"],
      ["Id, type", item.event ? `${item.event.id ?? ""}, ${item.event.type ?? ""}` : null], ["Bytes", item.event ? bytes(item.event.bytes) : null], ["Arrived", ago(item.arrived)], ["Settled", item.settled ? ago(item.settled) : null],
      ["Revision", hash(item.revision)], ["Trace", item.trace ? h("code", {}, item.trace) : null], ["Message", item.message]]));
    attempts.replaceChildren(timeline(item));
  });
}

/** Attempts on one scale: each from when it was queued to when its outcome was durable. */
function timeline(item) {
  const parts = ["queued", "starting", "running", "committing"];
  const rows = (item.lastAttempts ?? []).map((attempt) => {
    const timing = attempt.timing ?? {};
    const dispatched = Date.parse(attempt.dispatched) * 1000;
    const committing = attempt.ended && item.committing && attempt === item.lastAttempts.at(-1) ? item.committing : timing.committing ?? 0;
    const running = timing.running ?? (attempt.ended ? Date.parse(attempt.ended) * 1000 - dispatched : Date.now() * 1000 - dispatched);
    const begins = dispatched - (timing.starting ?? 0) - (timing.queued ?? 0);
    return { attempt, begins, spans: { queued: timing.queued ?? 0, starting: timing.starting ?? 0, running, committing } };
  });
  if (!rows.length) return h("p", { class: "empty" }, "No attempt yet.");
  const first = Math.min(...rows.map((row) => row.begins));
  const last = Math.max(...rows.map((row) => row.begins + parts.reduce((sum, part) => sum + row.spans[part], 0)));
  const whole = Math.max(1, last - first);
  const drawn = rows.map((row) => {
    let at = row.begins - first;
    const pieces = parts.map((part) => {
      const piece = h("span", { class: part, title: `${part} ${span(row.spans[part])}`, style: { left: `${(at * 100) / whole}%`, width: `${(row.spans[part] * 100) / whole}%` } });
      at += row.spans[part];
      return row.spans[part] > 0 ? piece : null;
    });
    const words = parts.filter((part) => row.spans[part] > 0).map((part) => `${part} ${span(row.spans[part])}`).join(", ");
    return h("div", { class: "attempt" }, h("div", {}, `Attempt ${row.attempt.number} `, row.attempt.code ? badge("failed", row.attempt.code) : badge(row.attempt.ended ? "succeeded" : "running")),
      h("div", {}, h("div", { class: "track", role: "img", "aria-label": words }, pieces), h("span", { class: "soft" }, `worker ${row.attempt.worker}, ${row.attempt.timing?.startTier ?? ""} · ${words}`)));
  });
  const hidden = item.attempts > rows.length ? h("p", { class: "soft" }, `The last ${rows.length} of ${item.attempts} attempts.`) : null;
  return h("div", { class: "timeline" }, drawn, hidden, h("p", { class: "legend" }, parts.map((part) => h("span", {}, h("i", { class: part }), part))));
}

// ---- dead letters

export async function deadLetters(view) {
  const list = h("div");
  const state = h("select", { "aria-label": "State", onchange: () => view.again() }, ["open", "redriven", "dropped", "all"].map((one) => h("option", { value: one }, one)));
  view.show(h("div", { class: "head" }, h("h1", {}, "Dead letters"), state), card(null, list));
  await view.every(3, async () => {
    const rows = items(await api(`${path("dead-letters")}?limit=200&state=${state.value}`)).map((item) => ({
      open: to("dead-letters", item.id), id: item.id,
      cells: [ago(item.time), link(to("functions", item.function), item.function), h("code", {}, `${item.topic} ${item.partition}:${item.offset}`), badge("failed", item.code), item.message,
        item.state === "open" ? decisions(item.id, () => view.again()) : badge("", item.state)],
    }));
    list.replaceChildren(table([{ title: "Given up" }, { title: "Function" }, { title: "Event", phone: false }, { title: "Why" }, { title: "Message", wide: true, phone: false }, { title: "" }], rows, "None: everything was delivered."));
  });
}

/** Redrives a dead letter. */
export async function redrive(id, after) {
  try {
    await api(path("dead-letters", id, "redrive"), { method: "POST" });
    say("Delivered again: see Deliveries.");
  } catch (problem) { say(problem.message); }
  after?.();
}

function decisions(id, after) {
  const drop = async () => {
    if (!confirm("Drop this dead letter for good?")) return;
    try { await api(path("dead-letters", id), { method: "DELETE" }); say("Dropped."); } catch (problem) { say(problem.message); }
    after();
  };
  const act = (work) => (event) => { event.stopPropagation(); work(); };
  return h("span", { class: "actions" }, h("button", { onclick: act(() => redrive(id, after)) }, "Redrive"), h("button", { class: "danger", onclick: act(drop) }, "Drop"));
}

export async function oneDeadLetter(view, id) {
  const body = h("div"), event = h("div"), head = h("div", { class: "actions" });
  view.show(h("div", { class: "head" }, h("div", {}, h("p", { class: "crumbs" }, link("#/dead-letters", "Dead letters"), " / "), h("h1", { class: "mono" }, id)), head), h("div", { class: "grid" }, card("Why", body), card("Event", event)));
  const read = async () => {
    const item = await api(path("dead-letters", id));
    head.replaceChildren(item.state === "open" ? decisions(id, read) : badge("", item.state));
    body.replaceChildren(facts([
      ["Function", link(to("functions", item.function), item.function)], ["Trigger", item.trigger], ["Event", `${item.topic} ${item.partition}:${item.offset}`], ["Attempts", count(item.attempts)], ["Code", badge("failed", item.code)],
      ["Message", item.message], ["Given up", ago(item.time)], ["Revision", hash(item.revision)]]), item.detail ? pretty(item.detail) : "");
    event.replaceChildren(pretty(item.event));
  };
  await read();
}
