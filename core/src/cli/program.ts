/** The commands of `lazycluster`, as commander takes them. What a command does is loaded when it is called. */
import { readFileSync } from "fs";
import { join } from "path";
import { Argument, Command, Option } from "commander";
import { enginesFolder } from "../engine/journal";
import { Environment } from "../environment";
import { notebookCommand } from "./context";
import type { AddRuntimeOptions } from "./commands/add-runtime";
import type { KernelOptions } from "./commands/kernel";

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
    .option("-o, --options <option...>", 'further options, such as "ProxyJump=gate"')
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
    .option("--python <interpreter>", "Python ≥ 3.8 on the host (default: python3)")
    .option("--json", "as JSON")
    .action(async (host: string, options: { json?: boolean; python?: string }) =>
      setExitCode(await (await import("./commands/doctor.js")).doctor(host, options)),
    );

  program
    .command("run")
    .description("run a shell command on a host; output and exit code are the command's")
    .argument("<host>", "ssh-config alias, user@host:port or localhost")
    .argument("<command...>", "behind --, joined with spaces as ssh does")
    .option("-w, --working-dir <path>", "on the host, created when missing (default: the home directory)")
    .option("--python <interpreter>", "Python ≥ 3.8 on the host (default: python3)")
    .option("--timeout <seconds>", "end the command after that")
    .option("--pty", "in a pseudo terminal")
    .option("--stdin", "give it what comes on stdin")
    .option("-d, --detach", "let it go on without this process; prints its id (see ps, logs, attach, cancel)")
    .option("--json", "as JSON, at the end")
    .passThroughOptions()
    .action(async (host: string, command: string[], options: object) => {
      const words = command[0] === "--" ? command.slice(1) : command;
      setExitCode(await (await import("./commands/run.js")).run(host, words, options));
    });

  program
    .command("ps")
    .description("show the tasks that run, of all your processes")
    .option("-a, --all", "also those that ended")
    .option("--json", "as JSON")
    .action(async (options: { all?: boolean; json?: boolean }) => (await import("./commands/ps.js")).ps(options));

  program
    .command("logs")
    .description("print the execution log of a task")
    .argument("<task>", "the beginning of its id, or its name")
    .option("-f, --follow", "go on until the task ends")
    .option("--step <index>", "only this step, from 0")
    .option("--stream <stream>", "only stdout or stderr")
    .action(async (task: string, options: object) => (await import("./commands/logs.js")).logs(task, options));

  program
    .command("attach")
    .description("follow a task to its end, and exit with its exit code; Ctrl-C leaves it alone")
    .argument("<task>", "the beginning of its id, or its name")
    .action(async (task: string) => setExitCode(await (await import("./commands/logs.js")).attach(task)));

  program
    .command("cancel")
    .description("end a task and all its processes on the host")
    .argument("<task>", "the beginning of its id, or its name")
    .option("--json", "as JSON")
    .action(async (task: string, options: { json?: boolean }) =>
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

/** A command with all that are below it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function prepare(options: { debug?: boolean; sshConfig?: string }): void {
  if (options.sshConfig !== undefined) Environment.sshConfigFile = options.sshConfig;
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
