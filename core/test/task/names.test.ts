/** Unicode, spaces, quotes, newlines, leading `-`, `$(…)`: exact everywhere, never executed. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import { Runtime, type RuntimeType, RuntimeTask, type Workspace, expectCleanHost, py, workspace } from "../support";

/** Every way in which a text could be taken for something else. */
const AWKWARD = [
  "plain",
  "with space",
  "  two  spaces  ",
  "single'quote",
  'double"quote',
  "back\\slash",
  "back`tick`",
  "$(touch pwned)",
  "`touch pwned`",
  "; touch pwned ;",
  "&& touch pwned",
  "| touch pwned",
  "> pwned",
  "$HOME",
  "${IFS}",
  "new\nline",
  "carriage\rreturn",
  "tab\there",
  "\x1b[31mred",
  "\x07bell",
  "\x7f",
  "-",
  "-n",
  "-rf",
  "--help",
  "--",
  "~",
  "~root",
  "*",
  "?",
  "[a-z]",
  "{a,b}",
  "!history!!",
  "#comment",
  "%s%n%d",
  "%2F",
  "äöü",
  "日本語",
  "🦊🦊",
  "e\u0301",
  "\u202eright-to-left",
  "\u00a0nbsp",
  "\ufeffbom",
  "' OR 1=1 --",
  "a=b",
  "=",
  "\\",
  "'",
  '"',
  "nul-less\x01control",
  "EOF",
  "..almost",
  "...",
  ".hidden",
  "x".repeat(200),
];

let hosts: TestHosts;
let host: TestHost;
let space: Workspace;
let runtime: RuntimeType;

beforeAll(async () => {
  hosts = await startHosts();
  host = hosts.hosts[0]!;
  space = workspace(hosts.configFile);
  runtime = new Runtime("host-1");
  await runtime.workingDir;
});
afterAll(async () => {
  const everywhere = [host.dir, space.dir].flatMap((dir) => readdirSync(dir, { recursive: true, encoding: "utf8" }));
  expect(everywhere.filter((path) => path.endsWith("/pwned"))).toEqual([]);
  expect(existsSync("pwned")).toBe(false);
  await runtime.close();
  await expectCleanHost(host, 2000);
  await hosts.stop();
  space.remove();
});

/** `~` as a path that is typed is the home directory by rule, as in a shell. */
const asPath = (name: string): string => (name === "~" ? "./~" : name);

const look = py`
import os
def look(values, *more, **named):
    return [values, list(more), named, os.getcwd(), dict(os.environ)]
`;

describe("exact and never executed", () => {
  it("values of functions, positional, named, nested, and bound in the source", async () => {
    const nested = Object.fromEntries(AWKWARD.map((text, index) => [text, [text, { [text]: index }]]));
    const bound = py`
    def bound():
        return ${AWKWARD}
    `;
    const task = new RuntimeTask()
      .runFunction(look, { text: AWKWARD.join("") }, { args: [nested, ...AWKWARD] })
      .runFunction(bound);
    await runtime.executeTask(task);
    const [seen, fromSource] = (await task.returns()) as [unknown[], unknown];
    expect(seen.slice(0, 3)).toEqual([nested, AWKWARD, { text: AWKWARD.join("") }]);
    expect(fromSource).toEqual(AWKWARD);
  });

  it("environment values, of a task and of a Runtime", async () => {
    const variables = Object.fromEntries(AWKWARD.map((text, index) => [`AWKWARD_${index}`, text]));
    const task = new RuntimeTask().runFunction(look, {}, { args: [[]] }).runCommand("env -0");
    task.envVariables = variables;
    await runtime.executeTask(task);
    const [[, , , , env]] = (await task.returns()) as [[unknown, unknown, unknown, unknown, Record<string, string>]];
    expect(env).toMatchObject(variables);
    const printed = Object.fromEntries(
      task.executionLog[1]!.split("\0").map((line) => [
        line.slice(0, line.indexOf("=")),
        line.slice(line.indexOf("=") + 1),
      ]),
    );
    expect(printed).toMatchObject(variables);
  });

  it("standard input of a command", async () => {
    const text = AWKWARD.join("\n");
    const task = new RuntimeTask().runCommand("cat", { stdin: text }).runCommand("cat; echo -n end", { stdin: "" });
    await runtime.executeTask(task);
    expect(task.executionLog).toEqual([text, "end"]);
  });

  it("working directories, made, used and removed", async () => {
    const base = await runtime.createTempdir();
    for (const name of AWKWARD) {
      const path = `${base}/${name}`;
      const there = new Runtime("host-1", { workingDir: path });
      const task = new RuntimeTask()
        .runCommand('pwd; printf "%s" "$WORKING_DIR"')
        .runFunction(look, {}, { args: [[]] });
      await there.executeTask(task);
      expect(await there.workingDir).toBe(path);
      expect(task.executionLog[0]).toBe(`${path}\n${path}`);
      expect(((await task.returns()) as [unknown[]])[0][3]).toBe(path);
      await there.close();
      expect(await runtime.deleteDir(path)).toBe(true);
    }
    expect(readdirSync(join(host.dir, base)).length).toBe(0);
  });

  it("file names: sent, fetched, inside of folders, and as folders", async () => {
    const source = space.path("source");
    mkdirSync(source);
    for (const name of AWKWARD) writeFileSync(join(source, name), `content of ${name}`);
    const task = new RuntimeTask().sendFile(source, "all");
    for (const name of AWKWARD) task.sendFile(join(source, name)).sendFile(join(source, name), `sub/${name}/`);
    const back = space.path("back");
    mkdirSync(back);
    task.getFile("all", join(back, "all"));
    for (const name of AWKWARD)
      task.getFile(asPath(name), join(back, name)).getFile(`sub/${name}`, join(back, "sub", name));
    await runtime.executeTask(task);
    expect(readdirSync(join(back, "all")).sort()).toEqual([...AWKWARD].sort());
    for (const name of AWKWARD) {
      for (const path of [["all", name], [name], ["sub", name, name]]) {
        expect(readFileSync(join(back, ...path), "utf8")).toBe(`content of ${name}`);
      }
    }
  });

  it("task names: two logs never collide, and all lie below the main directory", async () => {
    const names = [...AWKWARD, ...AWKWARD, "../../up", "/etc/passwd", "a/b", "A", "a"];
    const tasks = names.map((name) => new RuntimeTask(name).runCommand("true"));
    await Promise.all(tasks.map((task) => runtime.executeTask(task)));
    const logs = tasks.map((task) => task.executionLogFilePath!);
    expect(new Set(logs.map((log) => log.toLowerCase())).size).toBe(names.length);
    for (const log of logs) {
      expect(log.startsWith(join(space.dir, "main", "execution_log", "host-1") + "/")).toBe(true);
      expect(log).toMatch(/^[\x21-\x7e]+$/);
      expect(existsSync(log)).toBe(true);
    }
    expect(tasks.map((task) => task.name)).toEqual(names);
    for (const name of new Set(names)) expect(runtime.executionLog(name)).toEqual([""]);
  });

  it("what echo is given is data: the shell's own words come out as they went in", async () => {
    for (const text of AWKWARD.filter((text) => !/[\\]/.test(text) && !/^-n$/.test(text))) {
      expect(await runtime.echo(text)).toBe(text);
    }
  });

  it("whatever fast-check thinks of, as file name, value and variable", async () => {
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 40 })
      .map((text) => Buffer.from(text, "utf8").toString("utf8").replaceAll(/[/\0]/g, "_"))
      .filter((text) => ![".", ".."].includes(text) && Buffer.byteLength(text) <= 200);
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 5, maxLength: 30 }), async (names) => {
        const source = space.path("fuzz");
        mkdirSync(source);
        for (const one of names) writeFileSync(join(source, one), one);
        const target = space.path("back");
        const read = py`
        import os
        def read(folder, names):
            found = {}
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
                    found[name] = file.read()
            return [found, os.environ["NAMES"]]
        `;
        const task = new RuntimeTask()
          .sendFile(source, "fuzz")
          .runFunction(read, { folder: "fuzz", names })
          .getFile("fuzz", target)
          .runCommand("rm -r fuzz");
        task.envVariables = { NAMES: names.join("|") };
        await runtime.executeTask(task);
        const [[found, joined]] = (await task.returns()) as [[Record<string, string>, string]];
        expect(found).toEqual(Object.fromEntries(names.map((one) => [one, one])));
        expect(joined).toBe(names.join("|"));
        for (const one of names) expect(readFileSync(join(target, one), "utf8")).toBe(one);
      }),
      { numRuns: 25, seed: 7 },
    );
  });

  it("file names that are no UTF-8 survive both ways", async () => {
    const odd = Buffer.from([0x66, 0xff, 0xfe, 0x80]);
    const source = space.path("bytes");
    mkdirSync(source);
    writeFileSync(Buffer.concat([Buffer.from(`${source}/`), odd]), "odd");
    const target = space.path("back");
    await runtime.executeTask(new RuntimeTask().sendFile(source, "bytes").getFile("bytes", target));
    expect(readdirSync(target, { encoding: "buffer" })).toEqual([odd]);
  });
});
