"use strict";
// Passes a question of ssh on to the process that started ssh, and prints the answer. Fails where there is none.
const { connect } = require("node:net");

const socket = connect(process.env.LAZYCLUSTER_ASKPASS_SOCKET ?? "");
let answer = "";
socket.setEncoding("utf8");
socket.on("data", (text) => (answer += text));
socket.on("error", () => process.exit(1));
socket.on("close", () => {
  if (!answer.startsWith("+")) process.exit(1);
  process.stdout.write(`${answer.slice(1)}\n`);
});
socket.write(`${JSON.stringify({ text: process.argv[2] ?? "", hint: process.env.SSH_ASKPASS_PROMPT ?? "" })}\n`);
