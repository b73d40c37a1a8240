"use strict";
// The function's secrets: a JSON object of name to text, in a sealed memory file that the worker inherits.
const fs = require("fs");
const { NotAvailable } = require("./errors.js");
const { LIMIT } = require("./wire.js");

class Secrets {
  #descriptor;
  #known = null;

  constructor(descriptor) { this.#descriptor = descriptor; }

  get(name) {
    this.#known ??= this.#read();
    if (!Object.hasOwn(this.#known, name)) {
      const given = Object.keys(this.#known).sort().join(", ") || "none";
      throw new NotAvailable(
        `the secret '${name}' is not available to this function (given: ${given}): list it under spec.secrets and set it with ` +
          "`apus secret set`");
    }
    return this.#known[name];
  }

  #read() {
    let about;
    try {
      about = fs.fstatSync(this.#descriptor);
    } catch {
      return {};
    }
    // Without secrets the number may be anything that Node opened itself: a file without a name is none of that.
    if (!about.isFile() || about.nlink !== 0) return {};
    if (about.size > LIMIT.secrets) throw new NotAvailable("the secrets of this function are over their bound");
    const raw = Buffer.alloc(about.size);
    let at = 0;
    // By place: what shares the open file may have moved its position.
    while (at < raw.length) {
      const count = fs.readSync(this.#descriptor, raw, at, raw.length - at, at);
      if (count === 0) break;
      at += count;
    }
    return JSON.parse(raw.toString("utf8", 0, at));
  }
}

module.exports = { Secrets };
