"use strict";
// The errors between a handler and the runtime.

// What fits the 32-bit milliseconds of an ERROR frame, all ones being "not given".
const RETRY_SECONDS_MAX = 4_294_967;

/** Thrown by a handler: this attempt failed, try again, `after` seconds from now if given. */
class Retry extends Error {
  name = "Retry";

  constructor(message = "the handler asked for another attempt", { after, ...options } = {}) {
    super(message, options);
    if (after !== undefined && !(typeof after === "number" && after >= 0 && after <= RETRY_SECONDS_MAX)) {
      throw new RangeError(`apus.Retry: after is ${after}, expected seconds between 0 and ${RETRY_SECONDS_MAX}`);
    }
    this.after = after;
  }
}

/** Thrown by a handler: this event will never succeed; no further attempt. */
class Reject extends Error {
  name = "Reject";

  constructor(reason = "the handler rejected the event", options) {
    super(reason, options);
  }
}

/** The data of an event is not what its datacontenttype says. Unless the handler catches it, no further attempt. */
class InvalidData extends Error {
  name = "InvalidData";
}

/** The handler asked for something that this function does not have, or that Apus cannot do yet. */
class NotAvailable extends Error {
  name = "NotAvailable";
}

/** The server sent bytes that the protocol does not allow. It ends the worker. */
class ProtocolError extends Error {
  name = "ProtocolError";
}

/** A result is over its bound. */
class ResultTooLarge extends Error {
  name = "ResultTooLarge";
}

/** What cannot be loaded, with what to change. */
class LoadError extends Error {
  name = "LoadError";

  constructor(message, detail = "") {
    super(message);
    this.detail = detail;
  }
}

module.exports = { InvalidData, LoadError, NotAvailable, ProtocolError, Reject, ResultTooLarge, Retry };
