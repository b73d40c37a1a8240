"use strict";
// Finds the handler that INIT names. Every way to fail says what to change.
const fs = require("fs");
const path = require("path");
const { LoadError } = require("./errors.js");

const NODE_MAJOR_MIN = 18;
const SHOWN_MAX = 12;

/** The module and the handler of a configuration (INIT). */
async function load(configuration) {
  const folder = configuration.path ?? "/function";
  if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
    throw new LoadError(`/usr/bin/node is ${process.version}; functions need Node ${NODE_MAJOR_MIN} or newer`);
  }
  const name = String(configuration.handler ?? "");
  const [moduleName, attribute, ...more] = name.split(":");
  const isModule = /^[\w@.-]+(\/[\w@.-]+)*$/.test(moduleName) && !moduleName.split("/").includes("..");
  if (!isModule || more.length > 0 || !/^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*$/.test(attribute ?? "")) {
    throw new LoadError(
      `the handler '${name}' is not of the form module:function, for example main:handle for \`export async function handle(event, ` +
        "context)` in main.mjs");
  }
  const file = find(folder, moduleName);
  const module = await importFile(file, folder, moduleName);
  // What a CommonJS module exports is the default of its namespace, where it was imported as one.
  const exported = (object, part) => object?.[part] ?? object?.default?.[part];
  const handler = attribute.split(".").reduce(exported, module);
  if (handler === undefined) throw new LoadError(missing(module, path.basename(file), moduleName, attribute));
  if (typeof handler !== "function") throw new LoadError(`'${attribute}' in ${moduleName} is a ${typeof handler}, not a function`);
  if (handler.length > 2) {
    throw new LoadError(`the handler '${name}' takes ${handler.length} parameters; it is called with two: (event, context)`);
  }
  return { module, handler };
}

function find(folder, name) {
  const names = /\.[mc]?js$/.test(name) ? [name] : [".mjs", ".js", ".cjs"].map((suffix) => name + suffix);
  const found = names.map((each) => path.join(folder, each)).find((each) => fs.existsSync(each));
  if (found !== undefined) return found;
  throw new LoadError(`there is no ${names.join(", ")} in the function's source, which has: ${listing(folder)}`);
}

function listing(folder) {
  let names;
  try {
    names = fs.readdirSync(folder).filter((name) => !name.startsWith(".")).sort();
  } catch (error) {
    return `nothing that can be read (${error.code})`;
  }
  const more = names.length > SHOWN_MAX ? ", ..." : "";
  return names.length > 0 ? names.slice(0, SHOWN_MAX).join(", ") + more : "nothing";
}

/** Whether a file is an ES module: by its name, else by the nearest package.json, as Node has it. */
function isESModule(file, folder) {
  if (!file.endsWith(".js")) return file.endsWith(".mjs");
  for (let at = path.dirname(file); at.startsWith(folder); at = path.dirname(at)) {
    let text;
    try {
      text = fs.readFileSync(path.join(at, "package.json"), "utf8");
    } catch (error) {
      if (error.code === "ENOENT") continue;
      throw new LoadError(`${path.join(at, "package.json")} cannot be read: ${error.message}`);
    }
    try {
      return JSON.parse(text).type === "module";
    } catch (error) {
      throw new LoadError(`${path.join(at, "package.json")} is no JSON: ${error.message}`);
    }
  }
  return false;
}

async function importFile(file, folder, name) {
  const isModule = isESModule(file, folder);
  try {
    // CommonJS by its own loader: the other one costs its start.
    return isModule ? await import(require("url").pathToFileURL(file).href) : require(file);
  } catch (error) {
    throw explained(error, file, name, isModule);
  }
}

/** The error of an import as one that says what to change. */
function explained(error, file, name, isModule) {
  const { describe, trace } = require("./failures.js");
  const detail = trace(error);
  const text = String(error?.message ?? "");
  if (error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND") {
    const wanted = /Cannot find (?:module|package) '([^']*)'/.exec(text)?.[1] ?? "a module";
    return new LoadError(
      `${name} imports '${wanted}', which is neither in the bundle nor a part of Node: run \`npm install --omit=dev\` and deploy the ` +
        "folder node_modules with it", detail);
  }
  if (error instanceof SyntaxError) {
    const isMarked = !isModule && file.endsWith(".js") && /\b(import|export)\b|import\.meta/.test(text);
    const hint = isMarked ? `: an ES module is named ${path.basename(file, ".js")}.mjs, or its package.json has "type": "module"` : "";
    const place = /^(?:file:\/\/)?(\/[^\n]*:\d+)\n/.exec(String(error.stack))?.[1] ?? file;
    return new LoadError(`${place}: SyntaxError: ${text}${hint}`, detail);
  }
  return new LoadError(`importing ${name} failed: ${describe(error)}`, detail);
}

function missing(module, file, name, attribute) {
  const own = { ...module?.default, ...module };
  const names = Object.keys(own).filter((each) => typeof own[each] === "function");
  if (names.length === 0) return `${file} exports no '${attribute}', and no other function`;
  const near = names.find((each) => distance(each, attribute) <= 2);
  const hint = near === undefined ? "" : `; did you mean '${name}:${near}'?`;
  return `${file} exports no '${attribute}' (it has: ${names.slice(0, SHOWN_MAX).join(", ")})${hint}`;
}

/** How many letters must be put in, taken out or changed. */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at++) {
    const next = [at];
    for (let to = 1; to <= other.length; to++) {
      next.push(Math.min(row[to] + 1, next[to - 1] + 1, row[to - 1] + (one[at - 1] === other[to - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}

module.exports = { load };
