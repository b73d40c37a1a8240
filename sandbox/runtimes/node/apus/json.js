"use strict";
// JSON as bytes, and which content types name it.

const TYPES = new Map([["application/json", true], ["application/octet-stream", false]]);

/** Whether a content type names JSON: application/json, text/json or any +json, whatever its parameters. */
function isJSON(type) {
  if (!type) return false;
  const known = TYPES.get(type);
  if (known !== undefined) return known;
  const media = type.split(";", 1)[0].trim().toLowerCase();
  return media === "application/json" || media === "text/json" || media.endsWith("+json");
}

/** UTF-8 JSON text of a value. Throws what says what to return instead. */
function encodeJSON(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new TypeError(`the value cannot be written as JSON: ${error.message}`, { cause: error });
  }
  if (text === undefined) {
    throw new TypeError(
      `a value of type ${typeof value} cannot be written as JSON: return objects, arrays, strings, numbers, booleans, null, ` +
        "bytes or an apus.Event");
  }
  return Buffer.from(text);
}

module.exports = { encodeJSON, isJSON };
