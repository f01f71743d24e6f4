"use strict";
// A new process that runs `true` on all hosts, and ends.
const { RuntimeGroup, RuntimeTask } = require("lazycluster");

const group = new RuntimeGroup(...process.argv.slice(2));
group.executeTask(new RuntimeTask("true").runCommand("true"), { broadcast: true }).then(() => group.close());
