"use strict";
// What a function written in JavaScript sees of Apus: `import { Retry, Reject } from "apus"`, or `require("apus")`.
//
// A handler is `export async function handle(event, context)`, or an export of a CommonJS module. It returns something that
// JSON can hold, a Buffer, an Event, nothing, or a generator whose parts are streamed. For an HTTP trigger `event.http` is the
// request, and a Response chooses the status and headers of the answer. With `batch` it gets an array and returns one of the same
// length. It may throw Retry or Reject; any other error is a failed attempt that may be tried again.
const { InvalidData, NotAvailable, Reject, Retry } = require("./errors.js");
const { Event } = require("./event.js");
const { Response } = require("./http.js");

module.exports = { Event, InvalidData, NotAvailable, Reject, Response, Retry };
