"use strict";
// Attributes and headers of events: their checks, and both ways between values and bytes.
const { HEADER_KIND, LIMIT } = require("./wire.js");

const isText = (value) => typeof value === "string";

function checkAttribute(name, value) {
  if (!/^[a-z0-9]{1,255}$/.test(name)) {
    throw new TypeError(`'${name}' is no name of an attribute: CloudEvents allows lower-case letters and digits`);
  }
  if (name === "specversion" || name === "data") throw new TypeError(`'${name}' cannot be set as an attribute`);
  const isNumber = typeof value === "number" && Number.isSafeInteger(value);
  if (!isText(value) && typeof value !== "boolean" && !isNumber && !(value instanceof Uint8Array)) {
    throw new TypeError(`the attribute '${name}' is a string, a boolean, a whole number or bytes, not ${typeof value}`);
  }
}

/** One attribute as bytes. */
function attribute(name, kind, value) {
  const [nameBytes, valueBytes] = [Buffer.from(name), isText(value) ? Buffer.from(value) : value];
  if (valueBytes.length > LIMIT.value) {
    throw new RangeError(`the attribute '${name}' has ${valueBytes.length} bytes; at most ${LIMIT.value} are allowed`);
  }
  const raw = Buffer.allocUnsafe(4 + nameBytes.length + valueBytes.length);
  raw[0] = nameBytes.length;
  raw[1] = kind;
  raw.writeUInt16LE(valueBytes.length, 2);
  nameBytes.copy(raw, 4);
  raw.set(valueBytes, 4 + nameBytes.length);
  return raw;
}

function encodeOne(name, value) {
  if (isText(value)) return attribute(name, name === "time" ? 6 : 0, value);
  if (typeof value === "boolean") return attribute(name, 1, value ? "true" : "false");
  if (typeof value === "number") return attribute(name, 2, String(value));
  return attribute(name, 3, value);
}

/** Attributes, then headers, as bytes. `headers` are pairs of name and text or bytes. */
function encodeAttributes(values, headers = []) {
  const parts = Object.entries(values).map(([name, value]) => encodeOne(name, value));
  for (const [name, value] of headers) parts.push(attribute(name, HEADER_KIND, value));
  const raw = Buffer.concat(parts);
  if (raw.length > LIMIT.attributeBytes || parts.length > LIMIT.attributes) {
    throw new RangeError(
      `the event has ${parts.length} attributes of ${raw.length} bytes; at most ${LIMIT.attributes} and ` +
        `${LIMIT.attributeBytes} are allowed`);
  }
  return raw;
}

function decodeOne(kind, raw) {
  if (kind === 1) return raw.toString() === "true";
  if (kind === 2) return Number(raw.toString());
  if (kind === 3) return raw;
  return raw.toString();
}

/** Attributes by name, and the headers among them as pairs of name and bytes. */
function decodeAttributes(raw) {
  const values = Object.create(null);
  const headers = [];
  let at = 0;
  while (at < raw.length) {
    const start = at + 4;
    const nameEnd = start + raw[at];
    const end = nameEnd + raw.readUInt16LE(at + 2);
    const [name, value, kind] = [raw.toString("utf8", start, nameEnd), raw.subarray(nameEnd, end), raw[at + 1]];
    if (kind === HEADER_KIND) headers.push([name, value]);
    else values[name] = decodeOne(kind, value);
    at = end;
  }
  return { values, headers };
}

module.exports = { checkAttribute, decodeAttributes, encodeAttributes };
