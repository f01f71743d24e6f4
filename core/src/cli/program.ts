/** The commands of `lazycluster`, as commander takes them. What a command does is loaded when it is called. */
import { readFileSync } from "fs";
import { join } from "path";
import { Argument, Command, Option } from "commander";
import { enginesFolder } from "../engine/journal";
import { Environment, useSshConfig } from "../environment";
import { notebookCommand } from "./context";
import { CommandFailure, EXIT } from "./output";
import type { AddRuntimeOptions } from "./commands/add-runtime";
import type { ForwardOptions } from "./commands/forward";
import type { RunOptions } from "./commands/run";
import type { SyncCommandOptions, TransferCommandOptions } from "./commands/transfer";
import type { KernelOptions } from "./commands/kernel";

const FORCE = "take it over from another machine that looks after it, where that one is gone or cannot be reached";

export function makeProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("lazycluster")
    .description("Put the machines you can reach over SSH to work.")
    .version(readVersion())
    .option("--debug", "say what happens, on stderr")
    .option("--ssh-config <file>", "look hosts up in this ssh config (default: LAZYCLUSTER_SSH_CONFIG, else your own)")
    .enablePositionalOptions()
    .showHelpAfterError()
    .hook("preAction", (command) => prepare(command.opts()));

  program
    .command("list-runtimes")
    .description("show which hosts of the ssh config are usable, and why the others are not")
    .option("-l, --long", "more about each host")
    .option("--json", "as JSON")
    .action(async (options: { long?: boolean; json?: boolean }) =>
      (await import("./commands/list-runtimes.js")).listRuntimes(options),
    );

  program
    .command("add-runtime")
    .description("write a host into the ssh config")
    .argument("<name>", "what to call it")
    .argument("<address>", "user@host:port")
    .option("-i, --id-file <file>", "private key")
    .addOption(new Option("--id_file <file>").hideHelp())
    .option("-o, --options <option>", 'a further option, such as "ProxyJump=gate"; may come several times', collect)
    .option("--config <file>", "the ssh config (default: as in --ssh-config)")
    .action(async (name: string, address: string, options: AddRuntimeOptions & { id_file?: string }) => {
      const { id_file: former, ...given } = options;
      (await import("./commands/add-runtime.js")).addRuntime(
        name,
        address,
        former ? { idFile: former, ...given } : given,
      );
    });

  program
    .command("delete-runtime")
    .description("remove a host from the ssh config; comments and all else stay")
    .argument("<name>", "as in list-runtimes")
    .option("--config <file>", "the ssh config (default: as in --ssh-config)")
    .action(async (name: string, options: { config?: string }) =>
      (await import("./commands/delete-runtime.js")).deleteRuntime(name, options),
    );

  program
    .command("doctor")
    .description("look at a host step by step, and say what to do about what is found")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .option("--json", "as JSON")
    .action(async (host: string, options: { json?: boolean; python?: string }) =>
      setExitCode(await (await import("./commands/doctor.js")).doctor(host, options)),
    );

  program
    .command("run")
    .description("run a shell command on a host; output and exit code are the command's")
    .usage("[options] <host> -- <command...>, or --group <hosts> -- <command...>")
    .argument("<host>", "ssh-config alias, user@host:port or localhost; with --group the command begins here")
    .argument("[command...]", "behind --, joined with spaces as ssh does")
    .option(
      "-g, --group <hosts>",
      "on several hosts at once: names with commas, or all; lines come under their host's name",
    )
    .option("-w, --working-dir <path>", "on the host, created when missing (default: the home directory)")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .option("--timeout <seconds>", "end the command after that")
    .option("--pty", "in a pseudo terminal")
    .option("--stdin", "give it what comes on stdin")
    .option("-d, --detach", "let it go on without this process; prints its id (see ps, logs, attach, cancel)")
    .option("--json", "as JSON, at the end")
    .passThroughOptions()
    .action(async (host: string, command: string[], options: RunOptions & { group?: string }) => {
      const { group, ...rest } = options;
      const behind = group === undefined ? command : [host, ...command];
      const words = behind[0] === "--" ? behind.slice(1) : behind;
      if (words.length === 0)
        throw new CommandFailure("There is no command: lazycluster run <host> -- <command>", EXIT.usage);
      setExitCode(
        group === undefined
          ? await (await import("./commands/run.js")).run(host, words, rest)
          : await runOnGroup(words, { ...rest, on: group }),
      );
    });

  program
    .command("send")
    .description("send a file or folder to a host")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .argument("<local>", "a file or folder here")
    .argument("[remote]", "default: its name in the home directory")
    .option("-w, --working-dir <path>", "what relative paths on the host start from (default: the home directory)")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .option("--verify", "compare by hash afterwards")
    .option("--resume", "go on where an interrupted transfer ended")
    .option("--json", "as JSON")
    .action(async (host: string, local: string, remote: string | undefined, options: TransferCommandOptions) =>
      setExitCode(await (await import("./commands/transfer.js")).send(host, local, remote, options)),
    );

  program
    .command("get")
    .description("fetch a file or folder from a host")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .argument("<remote>", "a file or folder there")
    .argument("[local]", "default: its name in the current folder")
    .option("-w, --working-dir <path>", "what relative paths on the host start from (default: the home directory)")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .option("--verify", "compare by hash afterwards")
    .option("--resume", "go on where an interrupted transfer ended")
    .option("--json", "as JSON")
    .action(async (host: string, remote: string, local: string | undefined, options: TransferCommandOptions) =>
      setExitCode(await (await import("./commands/transfer.js")).get(host, remote, local, options)),
    );

  program
    .command("sync")
    .description("make a folder of a host like one here; only what changed travels")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .argument("<local>", "a folder here")
    .argument("[remote]", "default: its name in the home directory")
    .option("-w, --working-dir <path>", "what relative paths on the host start from (default: the home directory)")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .option("--down", "the reverse: the folder here becomes like the host's")
    .option("--delete", "remove what is only at the target, but for what .lazyignore names")
    .option("-n, --dry-run", "say what would change, and change nothing")
    .option("--verify", "compare also what looks the same by hash")
    .option("--resume", "go on where an interrupted transfer ended")
    .option("--json", "as JSON")
    .action(async (host: string, local: string, remote: string | undefined, options: SyncCommandOptions) =>
      setExitCode(await (await import("./commands/transfer.js")).sync(host, local, remote, options)),
    );

  program
    .command("forward")
    .description("make a port of a host reachable here, until Ctrl-C")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .argument("<port>", "where the service listens")
    .argument("[other-port]", "where it can be reached (default: the same)")
    .option("--to-host", "the reverse: a port of here becomes reachable on the host")
    .option("--any-user", "every user of the machine that listens may connect")
    .option("--python <interpreter>", "Python ≥ 3.6 on the host (default: python3)")
    .action(async (host: string, port: string, other: string | undefined, options: ForwardOptions) =>
      setExitCode(await (await import("./commands/forward.js")).forward(host, port, other, options)),
    );

  program
    .command("ps")
    .description("show the tasks that run and the ports that are exposed, of all your processes")
    .option("-a, --all", "also those that ended")
    .option("--json", "as JSON")
    .action(async (options: { all?: boolean; json?: boolean }) => (await import("./commands/ps.js")).ps(options));

  program
    .command("logs")
    .description("print the execution log of a task")
    .argument("<task>", "the beginning of its id, or its name")
    .option("-f, --follow", "go on until the task ends")
    .option("--force", FORCE)
    .option("--step <index>", "only this step, from 0")
    .option("--stream <stream>", "only stdout or stderr")
    .action(async (task: string, options: object) =>
      setExitCode(await (await import("./commands/logs.js")).logs(task, options)),
    );

  program
    .command("attach")
    .description("follow a task to its end, and exit with its exit code; Ctrl-C leaves it alone")
    .argument("<task>", "the beginning of its id, or its name")
    .option("--force", FORCE)
    .action(async (task: string, options: { force?: boolean }) =>
      setExitCode(await (await import("./commands/logs.js")).attach(task, options)),
    );

  program
    .command("cancel")
    .description("end a task and all its processes on the host, or a port exposure")
    .argument("<task>", "the beginning of its id, its key, or its name (of a port: localhost:8080)")
    .option("--force", FORCE)
    .option("--json", "as JSON")
    .action(async (task: string, options: { json?: boolean; force?: boolean }) =>
      (await import("./commands/cancel.js")).cancel(task, options),
    );

  program
    .command("demo")
    .description("ssh hosts on this machine to try things on")
    .addArgument(new Argument("<action>").choices(["up", "status", "down"]))
    .option("--count <n>", "how many hosts `up` starts", "2")
    .option("--json", "as JSON")
    .action(async (action: string, options: { count?: string; json?: boolean }) =>
      (await import("./commands/demo.js")).demo(action, options),
    );

  program
    .command("kernel")
    .description("the TypeScript kernel: register it for a Jupyter, or take it away")
    .addArgument(new Argument("<action>").choices(["install", "uninstall"]))
    .option("--user", "for every Jupyter of yours (default)")
    .option("--sys-prefix", "for the active environment, else that of python3")
    .option("--prefix <dir>", "for the environment in this folder")
    .option("--json", "as JSON")
    .action(async (action: string, options: KernelOptions) =>
      (await import("./commands/kernel.js")).kernel(action, options),
    );

  // `lazycluster run --debug …` works as `lazycluster --debug run …` does.
  for (const command of everyCommand(program)) {
    if (command !== program) command.option("--debug", "say what happens, on stderr");
    command.showHelpAfterError();
    command.exitOverride();
  }
  return program;
}

/** What has no meaning for several hosts is refused. */
async function runOnGroup(words: readonly string[], options: RunOptions & { on: string }): Promise<number> {
  for (const name of ["pty", "stdin", "detach"] as const) {
    if (options[name]) throw new CommandFailure(`--${name} is for one host, so not with --group.`, EXIT.usage);
  }
  return (await import("./run-on.js")).runOn(words.join(" "), {
    ...options,
    option: "--group",
    workingDir: options.workingDir ?? "~",
  });
}

/** A command with all that are below it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function collect(value: string, former: string[] = []): string[] {
  return [...former, value];
}

function prepare(options: { debug?: boolean; sshConfig?: string }): void {
  if (options.sshConfig !== undefined) {
    const undo = useSshConfig(options.sshConfig);
    notebookCommand()?.undo.push(undo);
  }
  // A notebook has its own settings.
  if (notebookCommand()) return;
  if (!process.env["LAZYCLUSTER_MAIN_DIRECTORY"]) {
    // A command leaves its logs with the journals, not in whatever folder it was called.
    Environment.setMainDirectory(join(enginesFolder(), "..", "cli"));
  }
  if (options.debug || process.argv.includes("--debug")) {
    Environment.setLogLevel("debug");
  }
}

function readVersion(): string {
  const text = readFileSync(join(__dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
