// Approvals: calls of tools that wait for somebody to let them begin.
import { api, items, may, path, post } from "./api.js";
import { action, ago, badge, card, confirmed, count, empty, facts, h, hash, heading, link, pretty, say, table, to, update } from "./core.js";

const shown = 200;
const states = [["waiting", "waiting"], ["accepted", "accepted"], ["consumed", "consumed"], ["declined", "declined"], ["expired", "expired"], ["all", "all states"]];

export async function approvals(view) {
  const list = h("div"), state = view.choice("state", states), name = view.search("tool");
  view.show(heading("Approvals", null, name, state), card(null, list));
  if (!may("approver")) return update(list, empty("Whoever has the role approver sees what waits."));
  await view.every(3, async () => {
    const query = new URLSearchParams({ limit: String(shown) });
    if (state.value !== "all") query.set("state", state.value);
    const answer = await api(`${path("approvals")}?${query}`);
    const found = items(answer).filter((item) => item.tool.includes(name.value.trim()));
    update(list, table(
      [{ title: "Asked", phone: false }, { title: "Tool" }, { title: "Caller", phone: false }, { title: "Arguments", wide: true, grow: true, phone: false }, { title: "" }],
      found.map((item) => ({
        open: to("approvals", item.id), key: item.id,
        cells: [ago(item.created), h("span", {}, link(to("approvals", item.id), item.tool), h("small", { class: "phone soft" }, item.principal)), item.principal, JSON.stringify(item.arguments),
          item.state === "waiting" ? decisions(item, () => view.again()) : badge(item.state)],
      })), empty(state.value === "waiting" ? "None: no call waits for anybody." : "None is such.")),
      answer.more ? h("p", { class: "soft" }, `The newest ${count(shown)}; ${count(answer.more)} are left out.`) : null);
  });
}

function decisions(item, after) {
  const decide = async (verb, said) => {
    await post(path("approvals", item.id, verb), {});
    say(said);
    await after();
  };
  const accept = async () => {
    if (!await confirmed(`Let '${item.tool}' run for ${item.principal}?`, `Once, with ${JSON.stringify(item.arguments)}, when the call is made again.`, "Accept", "plain")) return;
    await decide("accept", "Accepted: the same call begins once, when it is made again.");
  };
  const decline = () => decide("decline", "Declined: the same call is refused.");
  return h("span", { class: "actions tight" }, action("Accept", accept), action("Decline", decline, "danger"));
}

export async function oneApproval(view, id) {
  const body = h("div"), call = h("div"), head = h("div");
  const read = async () => {
    const item = await api(path("approvals", id));
    update(head, heading(h("code", {}, id), "Approvals", item.state === "waiting" ? decisions(item, read) : [badge(item.state), ago(item.decided ?? item.expires)]));
    update(body, facts([
      ["Tool", item.tool], ["Caller", item.principal], ["Function", link(to("functions", item.function), item.function)], ["Version", count(item.version)], ["Revision", hash(item.revision)],
      ["Decided by", item.decidedBy], ["Reason", item.reason], ["Asked", ago(item.created)], ["Until", ago(item.expires)],
      ["Who decides", item.by === "approver" ? "an approver other than the caller" : "the caller's side, or an approver"]]));
    update(call, pretty(item.arguments));
  };
  await read();
  view.show(head, h("div", { class: "grid" }, card("Call", body), card("Arguments", call)));
}
