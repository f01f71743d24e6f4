import { expect, test } from "vitest";
import { instructionsOf, understand } from "../../src/host/openssh/question";

test.each([
  ["root@10.0.0.1's password: ", "", { kind: "password", asker: "root@10.0.0.1" }],
  ["Enter passphrase for key '/home/me/.ssh/id_rsa': ", "", { kind: "passphrase" }],
  ["Enter passphrase for /home/me/.ssh/id_rsa: ", "", { kind: "passphrase" }],
  ["Enter PIN for ED25519-SK key /home/me/.ssh/id_sk: ", "", { kind: "passphrase" }],
  ["(me@gpu) Password: ", "", { kind: "keyboard-interactive", asker: "me@gpu", text: "Password: " }],
  ["(me@gpu) Choose:\n 1. push\n", "", { kind: "keyboard-interactive", asker: "me@gpu", text: "Choose:\n 1. push\n" }],
  // A host that would like to have another secret.
  ["(me@gpu) Enter passphrase for key '/home/me/.ssh/id_rsa': ", "", { kind: "keyboard-interactive", asker: "me@gpu" }],
  ["(me@gpu) root@bastion's password: ", "", { kind: "keyboard-interactive", asker: "me@gpu" }],
  ["Verification code: ", "", { kind: "keyboard-interactive", asker: null }],
  ["Confirm user presence for key ED25519-SK SHA256:x", "none", { kind: "notice" }],
  ["Allow use of key x?", "confirm", { kind: "confirm" }],
  [
    "The authenticity of host 'x (1.2.3.4)' can't be established.\n… (yes/no/[fingerprint])? ",
    "",
    { kind: "host-key" },
  ],
  ["\u001b[2JPassword: ", "", { kind: "keyboard-interactive", text: "\ufffd[2JPassword: " }],
])("%j %s", (text, hint, expected) => {
  expect(understand({ text, hint })).toMatchObject(expected);
});

test("what a host says before it asks", () => {
  const log =
    "debug1: Next authentication method: publickey\nWarning: x\r\n" +
    "debug1: Next authentication method: keyboard-interactive\r\nLogin\r\nSay it\r\ndebug1: read_passphrase: requested to askpass\n";
  expect(instructionsOf(log)).toBe("Login\nSay it");
  expect(instructionsOf("Login\n")).toBe("");
});
