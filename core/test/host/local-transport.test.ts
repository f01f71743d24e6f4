import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { buffer, text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { run } from "../hosts";
import { connect, output } from "./helpers";

const local = () => connect("localhost", { configFile: null });
const sessionOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ")[3]!;
/** Zombies do not count: who reaps them is this machine's business. */
const groupRuns = async (group: number): Promise<boolean> =>
  (await run("pgrep", ["-g", String(group), "-r", "R,S,D"])).code === 0;

test("runs commands in the home directory, with output, error output and exit status", async () => {
  const connection = await local();
  expect(connection).toMatchObject({ host: "localhost", transport: "local" });
  const process = await connection.exec("pwd; echo err >&2; exit 7");
  expect(await Promise.all([text(process.stdout), text(process.stderr), process.exited])).toEqual([
    `${homedir()}\n`,
    "err\n",
    { code: 7, signal: null },
  ]);
  await connection.close();
  expect(await connection.closed).toBeNull();
});

test("carries bytes exactly, and ends the input", async () => {
  const connection = await local();
  const cat = await connection.exec("cat");
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 7) & 0xff));
  cat.stdin.end(bytes);
  expect((await buffer(cat.stdout)).equals(bytes)).toBe(true);
  await connection.close();
});

test("a process is a session of its own: an interrupt of ours does not reach it", async () => {
  const connection = await local();
  const pid = Number(await output(connection, "echo $$; cat >/dev/null"));
  expect(pid).toBeGreaterThan(0);
  const process_ = await connection.exec("echo $$; cat");
  const [chunk] = (
    await new Promise<Buffer[]>((resolve) => process_.stdout.once("data", (data: Buffer) => resolve([data])))
  ).map(String);
  expect(sessionOf(Number(chunk))).toBe(String(Number(chunk)));
  expect(sessionOf(Number(chunk))).not.toBe(sessionOf(process.pid));
  await connection.close();
});

test("close() ends what runs: by the end of its input, else by force", async () => {
  const connection = await local();
  const polite = await connection.exec("cat >/dev/null; exit 5");
  const deaf = await connection.exec("trap '' TERM HUP; echo $$; sleep 60 & sleep 60");
  const pid = Number(String(await new Promise((resolve) => deaf.stdout.once("data", resolve))));
  const started = performance.now();
  await connection.close();
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(await polite.exited).toEqual({ code: 5, signal: null });
  expect(await deaf.exited).toEqual({ code: null, signal: "SIGKILL" });
  await vi.waitFor(async () => expect(await groupRuns(pid)).toBe(false));
  await expect(connection.exec("true")).rejects.toMatchObject({ data: { code: "ERR_CONNECTION" } });
});

test("kill() ends it, and writing to what has ended hurts nobody", async () => {
  const connection = await local();
  const process = await connection.exec("sleep 60");
  process.kill();
  expect(await process.exited).toEqual({ code: null, signal: "SIGKILL" });
  process.stdin.write("late");
  process.kill();
  await connection.close();
});
