// Dead letters: deliveries given up on, why, and what may be done about them.
import { api, items, may, path } from "./api.js";
import { action, ago, badge, card, confirmed, count, empty, facts, h, hash, heading, link, pretty, say, table, to, update } from "./core.js";

// The interface lists the oldest first; of so many the newest are shown.
const most = 1000, shown = 200;

export async function deadLetters(view) {
  const list = h("div"), whole = h("span");
  const state = view.choice("state", [["open", "open"], ["redriven", "redriven"], ["dropped", "dropped"], ["all", "all states"]]), name = view.search("function");
  view.show(heading("Dead letters", null, name, state, whole), card(null, list));
  await view.every(3, async () => {
    const query = new URLSearchParams({ limit: String(most), state: state.value });
    const all = items(await api(`${path("dead-letters")}?${query}`));
    const found = all.filter((item) => item.function.includes(name.value.trim())).reverse().slice(0, shown);
    const open = found.filter((item) => item.state === "open");
    update(whole, open.length > 1 && may("deployer") ? action(`Redrive all ${count(open.length)}`, () => redriveAll(view, open)) : null);
    update(list, table(
      [{ title: "Given up", phone: false }, { title: "Function" }, { title: "Event", phone: false }, { title: "Why", phone: false }, { title: "Message", wide: true, grow: true, phone: false }, { title: "" }],
      found.map((item) => ({
        open: to("dead-letters", item.id), id: item.state === "open" ? item.id : null, key: item.id,
        cells: [ago(item.time), h("span", {}, link(to("dead-letters", item.id), item.function), h("small", { class: "phone soft" }, item.message)), h("code", {}, `${item.topic} ${item.partition}:${item.offset}`), badge("failed", item.code), item.message,
          item.state === "open" ? decisions(item.id, () => view.again()) : badge(item.state)],
      })), empty(state.value === "open" ? "None: everything was delivered." : "None is such.")),
      found.length < shown ? null : h("p", { class: "soft" }, all.length < most ? `The newest ${count(shown)}.` : `${count(shown)} of the oldest ${count(most)}: redrive or drop these first.`));
  });
}

/** Redrives one: its event is appended again for its function. */
export async function redrive(id, after) {
  try {
    await api(path("dead-letters", id, "redrive"), { method: "POST" });
    say("Delivered again: see Deliveries.");
  } catch (problem) { say(problem.message, true); }
  await after?.();
}

async function redriveAll(view, letters) {
  if (!await confirmed(`Redrive ${letters.length} dead letters?`, "Each is delivered again. What made them fail should be mended first, or they come back.", "Redrive all", "plain")) return;
  let done = 0;
  try {
    for (const letter of letters) {
      await api(path("dead-letters", letter.id, "redrive"), { method: "POST" });
      done += 1;
    }
    say(`${done} are delivered again: see Deliveries.`);
  } finally { view.again(); }
}

function decisions(id, after) {
  if (!may("deployer")) return badge("open");
  const drop = async () => {
    if (!await confirmed("Drop this dead letter?", "It is never delivered again. Its event stays on its topic as long as retention keeps it.", "Drop")) return;
    await api(path("dead-letters", id), { method: "DELETE" });
    say("Dropped.");
    await after();
  };
  return h("span", { class: "actions tight" }, action("Redrive", () => redrive(id, after)), action("Drop", drop, "danger desk"));
}

export async function oneDeadLetter(view, id) {
  const body = h("div"), event = h("div"), head = h("div");
  const read = async () => {
    const item = await api(path("dead-letters", id));
    update(head, heading(h("code", {}, id), "Dead letters", item.state === "open" ? decisions(id, read) : [badge(item.state), ago(item.decided)]));
    update(body, facts([
      ["Code", badge("failed", item.code)], ["Message", item.message], ["Function", link(to("functions", item.function), item.function)], ["Trigger", item.trigger],
      ["Event", link(to("topics", item.topic), `${item.topic} ${item.partition}:${item.offset}`)], ["Attempts", count(item.attempts)], ["Given up", ago(item.time)], ["Revision", hash(item.revision)]]), item.detail ? pretty(item.detail) : null);
    update(event, pretty(item.event));
  };
  await read();
  view.show(head, h("div", { class: "grid" }, card("Why", body), card("Event", event)));
}
