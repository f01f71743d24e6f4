/** The folder with an engine's control socket goes with the engine, however that ends. */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Manager, type Workspace, startManager, workspace } from "../support";

let space: Workspace;
let home: string;
const managers: Manager[] = [];

beforeAll(() => {
  space = workspace(null);
  home = space.path("tmp");
  mkdirSync(home);
});
afterEach(() => {
  for (const manager of managers.splice(0)) manager.kill();
});
afterAll(() => space.remove());

/** Has an engine with a control socket, until it is told to end as `how` says. */
function start(how: "exit" | "end", env: Record<string, string> = {}): Manager {
  const manager = startManager(
    `
    await new Runtime("localhost").executeTask(new RuntimeTask().runCommand("true"));
    say("there");
    await heard();
    if (input === "exit") process.exit(0);
    `,
    { env: { ...space.env, TMPDIR: home, ...env }, input: how },
  );
  managers.push(manager);
  return manager;
}

function sockets(): string[] {
  return controlFolders()
    .flatMap((folder) =>
      readdirSync(join(home, folder), { recursive: true, encoding: "utf8" }).map((name) => join(home, folder, name)),
    )
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isSocket());
}

/** The agent of this machine removes its own folder by itself, a moment later. */
function controlFolders(): string[] {
  return readdirSync(home).filter((name) => name.startsWith("lazycluster-control"));
}

it("only its user reaches it; its path fits a socket; nothing stays after the end or process.exit()", async () => {
  for (const how of ["end", "exit"] as const) {
    const manager = start(how);
    await manager.hear("there");
    const [socket = "", ...more] = sockets();
    expect(more).toEqual([]);
    expect(socket).toContain(`/${String(manager.pid)}_`);
    // Of what may be 107 bytes, with the longest pid, start and uid: so much is left for TMPDIR.
    expect(socket.length - home.length).toBeLessThan(60);
    expect(statSync(join(socket, "..")).mode & 0o777).toBe(0o700);
    expect(statSync(join(socket, "..", "..")).mode & 0o777).toBe(0o700);
    manager.tell("go");
    expect(await manager.exited).toMatchObject({ code: 0, stderr: "" });
    expect(controlFolders(), how).toEqual([]);
  }
});

it("the next engine removes what one that was killed has left, and nothing of one that lives", async () => {
  const [killed, living] = [start("end"), start("end")];
  await Promise.all([killed.hear("there"), living.hear("there")]);
  killed.kill("SIGKILL");
  await killed.exited;
  expect(sockets()).toHaveLength(2);
  // Other journals: what it is told by is the folder's own name.
  const next = start("exit", { LAZYCLUSTER_STATE_DIR: space.path("state") });
  await next.hear("there");
  expect(sockets().filter((path) => path.includes(`/${String(killed.pid)}_`))).toEqual([]);
  next.tell("go");
  expect((await next.exited).code).toBe(0);
  const left = sockets();
  expect(left).toHaveLength(1);
  expect(left[0]).toContain(`/${String(living.pid)}_`);
  living.tell("go");
  expect((await living.exited).code).toBe(0);
  expect(controlFolders()).toEqual([]);
});
