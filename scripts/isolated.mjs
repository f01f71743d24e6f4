/**
 * `node scripts/isolated.mjs PROGRAM ARGUMENTS…`: runs it where test hosts can have namespaces of their own, as `npm test`
 * does with core's tests: for an ordinary user that runs some of them by hand.
 */
import { spawn } from "node:child_process";
import { isolated, whyNotIsolated } from "./lib/isolation.mjs";

const reason = whyNotIsolated();
if (reason !== undefined) console.error(`Not isolated: ${reason}.`);
const [program = "true", ...given] = process.argv.slice(2);
const { program: first, args, env } = isolated({ program, args: given });
spawn(first, args, { env, stdio: "inherit" }).on("close", (code) => (process.exitCode = code ?? 1));
