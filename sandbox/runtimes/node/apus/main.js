"use strict";
// Starts the worker: `/usr/bin/node /runtime/apus/main.js`.
const { Session } = require("./session.js");

new Session(3, 4, 6).run();
