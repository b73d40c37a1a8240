"use strict";
// Starts the worker: `/usr/bin/node /runtime/apus/main.js`.
const { Session } = require("./session.js");

// Only a function with a way out is told of one.
if (process.env.HTTP_PROXY === "http://127.0.0.1:3128") require("./network.js").useProxy(process.env.HTTP_PROXY);
new Session(3, 4, 6).run();
