"use strict";
// Connects to all hosts, runs a command on each, and prints its memory in MB.
const { Runtime, RuntimeTask } = require("lazycluster");

async function main() {
  const runtimes = process.argv.slice(2).map((host) => new Runtime(host));
  await Promise.all(runtimes.map((runtime) => runtime.executeTask(new RuntimeTask("true").runCommand("true"))));
  console.log(process.memoryUsage().rss / 1024 / 1024);
  await Promise.all(runtimes.map((runtime) => runtime.close()));
}
main();
