// What the console asks the server: the same interface that users have, with the rights of whoever is logged in.

const chosen = { namespace: localStorage.getItem("namespace") ?? "default", roles: [] };
export const namespace = () => chosen.namespace;
export function setNamespace(name) {
  chosen.namespace = name;
  localStorage.setItem("namespace", name);
}

/** The path of something in the chosen namespace; each part is encoded. */
export function path(...parts) {
  const base = chosen.namespace === "default" ? "/v1" : `/v1/namespaces/${encodeURIComponent(chosen.namespace)}`;
  return [base, ...parts.map(encodeURIComponent)].join("/");
}

export function setRoles(roles) { chosen.roles = roles; }

/** Namespaces that the roles name. */
export function namespaces() {
  return [...new Set(["default", chosen.namespace, ...chosen.roles.map((role) => role.split("@")[1]).filter((name) => name && name !== "*")])];
}

/** Whether one of the roles holds in the chosen namespace. The server decides; this only spares people buttons that would be refused. */
export function may(...roles) {
  return chosen.roles.some((text) => {
    const [role, where = "default"] = text.split("@");
    return ["admin", ...roles].includes(role) && (where === "*" || where === chosen.namespace);
  });
}

export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Asks the server; what it refuses is thrown as a Problem. */
export async function api(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(0, "server_unreachable", "The server does not answer. What is shown may be old; this page asks again by itself.");
  }
  const text = await response.text();
  if (response.ok) return text && (response.headers.get("content-type") ?? "").includes("json") ? JSON.parse(text) : text;
  let problem = {};
  try { problem = JSON.parse(text); } catch { /* Not ours: the status says enough. */ }
  throw new Problem(response.status, problem.code ?? "", problem.detail ?? `The server answered with status ${response.status}.`);
}

export const items = (answer) => answer.items ?? [];

export function post(url, value) {
  return api(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
}

/**
 * Follows a stream of server-sent events until the view is left. A page that nobody looks at holds no stream: a browser opens only six
 * connections to a server, and six forgotten tabs would take them all.
 */
export function follow(view, url, onData) {
  let source = null;
  const set = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new EventSource(url());
      source.onmessage = (event) => { if (event.data) onData(JSON.parse(event.data)); };
    }
  };
  document.addEventListener("visibilitychange", set);
  view.onLeave(() => {
    document.removeEventListener("visibilitychange", set);
    source?.close();
  });
  set();
}
