// Functions: what is deployed, what it does now, what it prints, its revisions.
import { api, follow, items, may, namespace, path, post } from "./api.js";
import { minute } from "./charts.js";
import { action, ago, badge, card, confirmed, count, empty, facts, h, hash, heading, link, pretty, rate, say, soft, span, table, to, update } from "./core.js";
import { deliveryTable, lagCell, logLine, welcome } from "./parts.js";

export async function functions(view) {
  const list = h("div"), search = view.search("name");
  view.show(heading("Functions", null, search), card(null, list));
  await view.every(3, async () => {
    const [all, stats] = await Promise.all([api(path("functions")), api(path("stats"))]);
    const busy = new Map(stats.functions.map((item) => [item.name, item]));
    const rows = items(all).filter((item) => item.name.includes(search.value.trim())).map((item) => {
      const spec = item.manifest?.spec ?? {}, now = busy.get(item.name);
      return { open: to("functions", item.name), cells: [h("span", {}, link(to("functions", item.name), item.name), item.paused ? [" ", badge("paused")] : null), spec.runtime ?? "", triggerWords(spec),
        rate(now?.perSecond ?? 0), span(now?.running.p50), hash(item.revision), ago(item.updated)] };
    });
    update(list, table(
      [{ title: "Name" }, { title: "Runtime", phone: false }, { title: "Runs for", wide: true, grow: true }, { title: "Rate", number: true }, { title: "p50", number: true, phone: false }, { title: "Revision", phone: false }, { title: "Updated", phone: false }], rows,
      items(all).length ? "No function has that in its name." : welcome()));
  });
}

function triggerWords(spec) {
  const words = (spec.triggers ?? []).map((trigger) => trigger.topic ? `${trigger.table ? "table" : "topic"} ${trigger.topic}`
    : trigger.http ? `${(trigger.http.methods ?? []).join(", ")} /fn${trigger.http.path}` : trigger.schedule ? `cron ${trigger.schedule.cron ?? trigger.schedule}` : "");
  return words.length ? words.join(" · ") : "calls only";
}

export async function oneFunction(view, name) {
  const head = h("div"), summary = h("div"), traffic = h("div"), lag = h("div"), instances = h("div"), revisions = h("div"), recent = h("div");
  const log = h("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Log", "aria-live": "off" }), search = view.search("search the log");
  const read = async () => {
    const [item, kept, last, stats] = await Promise.all([
      api(path("functions", name)), api(path("functions", name, "revisions")), api(`${path("deliveries")}?limit=10&function=${encodeURIComponent(name)}`), api(`${path("stats")}?limit=500`)]);
    const spec = item.manifest.spec, now = stats.functions.find((each) => each.name === name);
    update(head, heading(h("span", {}, name, item.paused ? [" ", badge("paused")] : null), "Functions", controls(view, item)));
    update(summary, facts([
      ["Description", spec.description], ["Runtime", item.instances?.[0]?.runtime || spec.runtime], ["Handler", h("code", {}, spec.handler)], ["Runs for", triggerWords(spec)],
      ["Revision", h("span", {}, hash(item.revision), soft(` generation ${item.generation}, `), ago(item.updated))], ["Workers", `${spec.scale.min} to ${spec.scale.max}, ${spec.concurrency} at once in each`],
      ["Limits", `${spec.timeout}, ${spec.resources.memory} of memory`], ["Sandbox", `${spec.sandbox.isolation}, network ${typeof spec.sandbox.network === "string" ? spec.sandbox.network : "restricted"}`],
      ["Totals", now ? `${count(now.totals.succeeded)} succeeded, ${count(now.totals.failed)} failed` : null]]));
    update(traffic, now ? minute([{ name: "succeeded", values: now.succeeded, kind: "" }, { name: "failed", values: now.failed, kind: "failed" }]) : empty("It has not run since the server started."),
      now ? h("p", { class: "soft" }, `running p50 ${span(now.running.p50)}, p99 ${span(now.running.p99)} · queued p50 ${span(now.queued.p50)} · ${count(now.coldStarts.count)} cold starts, p50 ${span(now.coldStarts.p50)}`) : null);
    update(instances, table([{ title: "Worker" }, { title: "State", grow: true }, { title: "In flight", number: true }, { title: "Last change", number: true }],
      (item.instances ?? []).map((worker) => ({ key: String(worker.worker), cells: [h("code", {}, worker.worker), badge(worker.state), count(worker.inFlight), ago(worker.since)] })), "None runs: one starts when something comes."));
    update(lag, table([{ title: "Topic", grow: true }, { title: "Partition", number: true }, { title: "Next", number: true }, { title: "Lag", number: true }],
      (item.positions ?? []).map((one) => ({ key: `${one.group} ${one.partition}`, cells: [link(to("topics", one.topic), one.topic), count(one.partition), count(one.watermark), lagCell(one.lag)] })), "It reads no topic."));
    update(revisions, table([{ title: "Revision" }, { title: "Generation", number: true }, { title: "Deployed", number: true, grow: true }, { title: "" }],
      items(kept).map((one) => ({ key: one.revision, cells: [hash(one.revision), count(one.generation), ago(one.deployed), one.revision === item.revision ? badge("ready", "in use") : may("deployer") ? rollback(view, name, one.revision) : ""] })), "None."));
    if (!view.isHeld(recent)) update(recent, deliveryTable(items(last)));
  };
  let isShown = false;
  await view.every(3, async () => {
    await read();
    if (isShown) return;
    isShown = true;
    view.show(
      head, h("div", { class: "grid" }, card("Revision in use", summary), card("Last minute", traffic)),
      h("div", { class: "grid" }, card("Instances", instances), card("Positions", lag)),
      card(h("div", { class: "head" }, h("h2", {}, "Log, live"), h("div", { class: "actions" }, search, view.liveButton())), log),
      card("Recent deliveries", recent),
      h("div", { class: "grid" }, card("Revisions", revisions), may("caller") ? card("Try it", tryForm(name)) : null));
    followLog(view, name, log, search);
  });
}

function controls(view, item) {
  if (!may("deployer")) return [];
  const change = (verb, done) => action(verb, async () => {
    if (verb === "Pause" && !await confirmed(`Pause ${item.name}?`, "Events wait on their topics, calls are refused, until it is resumed. What runs goes on.", "Pause", "plain")) return;
    await post(path("functions", item.name, verb.toLowerCase()), {});
    say(done);
    view.again();
  });
  return [
    action("Start a worker", async () => {
      await post(path("functions", item.name, "warm"), {});
      say("A worker is ready.");
      view.again();
    }), item.paused ? change("Resume", `${item.name} runs again.`) : change("Pause", `${item.name} is paused.`)];
}

function rollback(view, name, revision) {
  return action("Roll back", async () => {
    if (!await confirmed(`Return to ${revision.slice(0, 12)}?`, `${name} runs this revision from then on. Triggers that stay keep their positions.`, "Roll back", "plain")) return;
    await post(path("functions", name, "rollback"), { revision });
    say(`${name} is back at ${revision.slice(0, 12)}`);
    view.again();
  });
}

function tryForm(name) {
  const data = h("textarea", { rows: "5", id: "try-data", name: "data", "aria-label": "Data", spellcheck: "false" }, "{}");
  const answer = h("div", { role: "status" });
  const run = async () => {
    const started = performance.now();
    try {
      const result = await api(path("functions", name, "invoke"), { method: "POST", headers: { "Content-Type": isJSON(data.value) ? "application/json" : "text/plain" }, body: data.value });
      update(answer, h("p", { class: "soft" }, `Answered in ${span((performance.now() - started) * 1000)}`), pretty(result === "" ? "(nothing)" : result));
    } catch (problem) {
      update(answer, h("p", {}, badge("failed", problem.code || String(problem.status))), pretty(problem.message));
    }
  };
  return h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); run(); } }, data, h("div", { class: "actions" }, h("button", { class: "main" }, "Invoke"), soft(`as namespace ${namespace()}`)), answer);
}

function isJSON(text) { try { JSON.parse(text); return true; } catch { return false; } }

// ---- what functions print

function followLog(view, name, log, search) {
  const most = 500;
  let last = null;
  const fits = (row) => row.textContent.toLowerCase().includes(search.value.trim().toLowerCase());
  update(log, empty("It has printed nothing yet."));
  search.addEventListener("input", () => { for (const row of log.querySelectorAll("div")) row.hidden = !fits(row); });
  follow(view, () => `${path("functions", name, "logs")}?limit=200${last == null ? "" : `&after=${last}`}`, (line) => {
    if (view.isPaused) return;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    log.querySelector(".empty")?.remove();
    last = line.sequence ?? last;
    const row = logLine(line);
    row.hidden = !fits(row);
    log.append(row);
    while (log.childElementCount > most) log.firstChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
}
