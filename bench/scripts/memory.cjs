"use strict";
// Connects to all hosts, runs a command on each, prints its memory in MB, and stays connected until its input ends.
const { RuntimeGroup, RuntimeTask } = require("lazycluster");

const group = new RuntimeGroup(...process.argv.slice(2));
process.stdin.resume().once("end", () => void group.close());
group.executeTask(new RuntimeTask("true").runCommand("true"), { broadcast: true }).then(() => {
  console.log(process.memoryUsage().rss / 1024 / 1024);
});
