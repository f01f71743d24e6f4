import { resolve } from "path";
import { InvalidArgumentError } from "./errors";

export type LogLevel = "silent" | "error" | "warn" | "info" | "debug";

/** Where messages of the library go. */
export interface Logger {
  error(message: string, details?: object): void;
  warn(message: string, details?: object): void;
  info(message: string, details?: object): void;
  debug(message: string, details?: object): void;
}

const LEVELS: readonly LogLevel[] = ["silent", "error", "warn", "info", "debug"];

const toStderr = (message: string): void => {
  process.stderr.write(`lazycluster: ${message}\n`);
};
const quiet = (): void => undefined;

let mainDirectory: string | null = null;
let thirdPartyLogLevel: LogLevel = "error";
let sshConfigFile: string | null = null;
let logger: Logger = { error: toStderr, warn: toStderr, info: quiet, debug: quiet };

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

  /** Absolute; execution logs go below it. Default: `LAZYCLUSTER_MAIN_DIRECTORY`, else `./lazycluster`. */
  static get mainDirectory(): string {
    return mainDirectory ?? resolve(process.env["LAZYCLUSTER_MAIN_DIRECTORY"] || "lazycluster");
  }

  /** @param dir made absolute now. (Python: `set_main_directory`.) */
  static setMainDirectory(dir: string): void {
    if (typeof dir !== "string" || dir === "")
      throw new InvalidArgumentError('setMainDirectory takes a path, such as "./runs".');
    mainDirectory = resolve(dir);
  }

  /** Of ssh2; default `error`. With `debug` every packet goes to the logger, at debug level. */
  static get thirdPartyLogLevel(): LogLevel {
    return thirdPartyLogLevel;
  }

  static setThirdPartyLogLevel(level: LogLevel): void {
    if (!LEVELS.includes(level))
      throw new InvalidArgumentError(`setThirdPartyLogLevel takes one of ${LEVELS.join(", ")}.`);
    thirdPartyLogLevel = level;
  }

  /** The ssh config that hosts are looked up in. Default: `LAZYCLUSTER_SSH_CONFIG`, else the user's own (then it is empty). */
  static get sshConfigFile(): string {
    return sshConfigFile ?? process.env["LAZYCLUSTER_SSH_CONFIG"] ?? "";
  }

  static set sshConfigFile(path: string) {
    if (typeof path !== "string") throw new InvalidArgumentError("sshConfigFile is the path of an ssh config file.");
    sshConfigFile = path === "" ? null : resolve(path);
  }

  /** Default: one that writes `warn` and worse to stderr. */
  static get logger(): Logger {
    return logger;
  }

  static set logger(value: Logger) {
    for (const level of ["error", "warn", "info", "debug"] as const) {
      if (typeof (value as Partial<Logger> | null)?.[level] !== "function") {
        throw new InvalidArgumentError(`logger needs the methods error, warn, info and debug; ${level} is missing.`);
      }
    }
    logger = value;
  }
}
