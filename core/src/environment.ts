import { homedir } from "os";
import { join, resolve } from "path";
import { InvalidArgumentError } from "./errors";

/** `warn` is `error` and `warn`, and so on. */
export type LogLevel = "silent" | "error" | "warn" | "info" | "debug";

/**
 * Where messages of the library go; console, pino, winston and most others fit.
 *
 * @example
 * ```ts
 * Environment.logger = console;
 * Environment.setLogLevel("info");
 * ```
 */
export interface Logger {
  error(message: string, details?: object): void;
  warn(message: string, details?: object): void;
  info(message: string, details?: object): void;
  debug(message: string, details?: object): void;
  /** Where a logger has it, it is asked before something is read for it, such as a step's output for `debug`. */
  isLevelEnabled?(level: string): boolean;
}

type MessageLevel = Exclude<LogLevel, "silent">;

const LEVELS: readonly LogLevel[] = ["silent", "error", "warn", "info", "debug"];
const METHODS = ["error", "warn", "info", "debug"] as const;

const toStderr = (message: string): void => {
  process.stderr.write(`lazycluster: ${message}\n`);
};
const standard: Logger = { error: toStderr, warn: toStderr, info: toStderr, debug: toStderr };

let mainDirectory: string | null = null;
let logLevel: LogLevel | null = null;
let thirdPartyLogLevel: LogLevel = "error";
let sshConfigFile: string | null = null;
let logger: Logger = standard;

/**
 * Settings of this process; each counts for what starts afterwards. (Python: `Environment`.)
 *
 * @example
 * ```ts
 * Environment.setMainDirectory("./runs");
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- the reference's name for the settings is a class
export class Environment {
  private constructor() {
    // Never made: all of it is static.
  }

  /** Absolute; execution logs go below it. Default: `LAZYCLUSTER_MAIN_DIRECTORY`, else `./lazycluster`. (Python: `main_directory`.) */
  static get mainDirectory(): string {
    return mainDirectory ?? absolutePath(process.env["LAZYCLUSTER_MAIN_DIRECTORY"] || "lazycluster");
  }

  /** @param dir made absolute now; `~` is your home. (Python: `set_main_directory`.) */
  static setMainDirectory(dir: string): void {
    if (typeof dir !== "string" || dir === "")
      throw new InvalidArgumentError('setMainDirectory takes a path, such as "./runs".');
    mainDirectory = absolutePath(dir);
  }

  /**
   * What of the library's own messages reaches the logger. Default: `warn`, and everything for a logger of yours, which
   * knows best. At `debug` it also gets what each step printed, when the step has ended and its task runs without `debug: true`.
   */
  static get logLevel(): LogLevel {
    return logLevel ?? (logger === standard ? "warn" : "debug");
  }

  /** @param level null: the default again. */
  static setLogLevel(level: LogLevel | null): void {
    logLevel = level === null ? null : requireLevel(level, "setLogLevel");
  }

  /** Of ssh2; default `error`. With `debug` every packet goes to the logger, at debug level. (Python: `third_party_log_level`.) */
  static get thirdPartyLogLevel(): LogLevel {
    return thirdPartyLogLevel;
  }

  static setThirdPartyLogLevel(level: LogLevel): void {
    thirdPartyLogLevel = requireLevel(level, "setThirdPartyLogLevel");
  }

  /** The ssh config that hosts are looked up in. Default: `LAZYCLUSTER_SSH_CONFIG`, else the user's own (then it is empty). */
  static get sshConfigFile(): string {
    const named = process.env["LAZYCLUSTER_SSH_CONFIG"];
    return sshConfigFile ?? (named ? absolutePath(named) : "");
  }

  static set sshConfigFile(path: string) {
    if (typeof path !== "string") throw new InvalidArgumentError("sshConfigFile is the path of an ssh config file.");
    sshConfigFile = path === "" ? null : absolutePath(path);
  }

  /** Default: one that writes `warn` and worse to stderr. */
  static get logger(): Logger {
    return logger;
  }

  static set logger(value: Logger) {
    for (const level of METHODS) {
      if (typeof (value as Partial<Logger> | null)?.[level] !== "function") {
        throw new InvalidArgumentError(`logger needs the methods error, warn, info and debug; ${level} is missing.`);
      }
    }
    logger = value;
  }
}

/** Until the function that it gives is called. */
export function useSshConfig(path: string): () => void {
  const before = sshConfigFile;
  Environment.sshConfigFile = path;
  return () => {
    sshConfigFile = before;
  };
}

/** Whether the logger wants messages of this level: asked before a costly one is made. */
export function logs(level: MessageLevel): boolean {
  if (LEVELS.indexOf(level) > LEVELS.indexOf(Environment.logLevel)) return false;
  return typeof logger.isLevelEnabled !== "function" || logger.isLevelEnabled(level);
}

/** One message for the logger. What a logger throws is its own matter. */
export function log(level: MessageLevel, message: string, details?: object): void {
  try {
    if (!logs(level)) return;
    if (details) logger[level](message, details);
    else logger[level](message);
  } catch (error) {
    toStderr(`the logger threw (${String(error)}) at this message: ${message}`);
  }
}

/** Of a local path as users write it: `~` is their home. */
export function absolutePath(path: string): string {
  return resolve(path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path);
}

function requireLevel(level: LogLevel, what: string): LogLevel {
  if (!LEVELS.includes(level)) throw new InvalidArgumentError(`${what} takes one of ${LEVELS.join(", ")}.`);
  return level;
}
