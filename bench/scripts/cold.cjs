"use strict";
const { Runtime, RuntimeTask } = require("lazycluster");

const runtime = new Runtime(process.argv[2]);
runtime.executeTask(new RuntimeTask("true").runCommand("true")).then(() => runtime.close());
