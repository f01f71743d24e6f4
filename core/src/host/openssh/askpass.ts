/** Answers what ssh asks: from the options, or by the user's prompt. */
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { EngineFailure } from "../../engine/protocol/failure";
import { AskOnce, type Asker } from "../ssh/ask";
import { fail, type Target } from "../shared/connection-errors";
import { instructionsOf, understand, type Meaning, type Question } from "./question";
import type { LogLevel } from "../shared/transport";

/** The program that ssh runs to ask. It stands beside the command line's, not in `dist`: it must stay executable. */
const PROGRAM = join(__dirname, "..", "..", "..", "bin", "askpass");
/** How often one login asks the user, for each question. */
export const QUESTIONS = 3;
/** [bytes] */
const MAX_QUESTION = 64 * 1024;

export interface AskpassSettings {
  readonly target: Target;
  /** Under which ssh names the host in its questions. */
  readonly names: readonly string[];
  /** ssh itself is all that can ask. A ProxyCommand may be another ssh, to another host. */
  readonly alone: boolean;
  readonly password: string | null;
  readonly passphrase: string | null;
  readonly asker: Asker;
  /** What ssh has printed so far. */
  readonly words: () => string;
  readonly log: (level: LogLevel, message: string) => void;
  /** The login is over: the user refused, or nobody knows the answer. */
  readonly onFailure: (failure: EngineFailure) => void;
}

export class Askpass {
  private readonly sockets = new Set<Socket>();
  private readonly used = new Map<string, number>();
  private readonly server: Server;

  /** @param socket path of a socket to be, in a private folder */
  static async start(socket: string, settings: AskpassSettings): Promise<Askpass> {
    const askpass = new Askpass(socket, settings);
    await new Promise<void>((resolve, reject) => {
      askpass.server.once("error", reject).listen(socket, resolve);
    });
    return askpass;
  }

  private constructor(
    private readonly socket: string,
    private readonly settings: AskpassSettings,
  ) {
    this.server = createServer((socket) => this.serve(socket));
  }

  /** For ssh, and what it starts. */
  get environment(): Readonly<Record<string, string>> {
    return {
      SSH_ASKPASS: PROGRAM,
      SSH_ASKPASS_REQUIRE: "force",
      // Before 8.4 only this made ssh use it.
      DISPLAY: process.env["DISPLAY"] ?? ":",
      LAZYCLUSTER_ASKPASS_NODE: process.execPath,
      LAZYCLUSTER_ASKPASS_SOCKET: this.socket,
    };
  }

  /** Of a login that failed: what was given and did not fit. */
  get notes(): readonly string[] {
    const keys = [...this.used.keys()].filter((text) => /^Enter passphrase/.test(text)).map(keyOf);
    const why = this.settings.asker === null ? "the option passphrase does not fit" : "no passphrase fitted";
    return keys.map((key) => `${key}: ${why}`);
  }

  stop(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    let received = "";
    socket.on("error", () => undefined).on("close", () => this.sockets.delete(socket));
    socket.setEncoding("utf8").on("data", (text: string) => {
      received += text;
      const end = received.indexOf("\n");
      if (end < 0 && received.length < MAX_QUESTION) return;
      socket.removeAllListeners("data").resume();
      this.answer(received.slice(0, end)).then(
        (answer) => {
          if (answer !== undefined) socket.end(answer === null ? "-" : `+${answer}`);
        },
        (error: unknown) => {
          this.settings.onFailure(error as EngineFailure);
          socket.end("-");
        },
      );
    });
  }

  /** Null: none. Undefined: it was no question, ssh itself ends it. */
  private async answer(line: string): Promise<string | null | undefined> {
    const { target, log } = this.settings;
    const meaning = understand(JSON.parse(line) as Question);
    switch (meaning.kind) {
      case "notice":
        log("warn", `${target.host}: ssh says: ${meaning.text}`);
        return undefined;
      case "confirm":
        log("warn", `${target.host}: ssh wanted a confirmation, and was told no: ${meaning.text}`);
        return null;
      case "host-key":
        throw fail(
          target,
          "ERR_HOST_KEY",
          `a host on the way is not known: ${meaning.text.trim().replace(/\n[^]*/, "")} Log in there once with ssh, or store its key.`,
        );
      case "passphrase":
        return this.passphrase(meaning.text);
      case "password":
      case "keyboard-interactive":
        return this.secretOfHost(meaning);
    }
  }

  private async passphrase(text: string): Promise<string | null> {
    const { passphrase, asker } = this.settings;
    const times = this.count(text);
    if (passphrase !== null && times === 1 && /^Enter passphrase/.test(text)) return passphrase;
    if (asker === null) return null;
    return passphrases.run(text, asker, () => asker.askSecret("passphrase", text));
  }

  private async secretOfHost({ kind, asker: by, text }: Extract<Meaning, { asker: unknown }>): Promise<string | null> {
    const { target, password, asker, names, alone } = this.settings;
    // What a ProxyCommand logs in to must not get the password of this host. Old versions do not say who asks.
    const isTarget =
      by === null ? alone : names.some((name) => `${target.user}@${name}`.toLowerCase() === by.toLowerCase());
    const times = this.count(`${kind} ${String(by)}`);
    if (password !== null && isTarget && times === 1 && (kind === "password" || asker === null || /passw/i.test(text)))
      return password;
    if (asker === null) {
      if (password !== null && isTarget && times > 1 && /passw/i.test(text)) return null; // it was wrong
      const who = isTarget || by === null ? "the host" : by;
      throw fail(
        target,
        "ERR_AUTHENTICATION",
        `${who} asks ${JSON.stringify(text.trim())}, and nobody can answer. Give the connection a prompt.`,
      );
    }
    const instructions = kind === "password" ? "" : instructionsOf(this.settings.words());
    const [answer = ""] = await asker.ask({ kind, instructions, prompts: [{ text, echo: false }] });
    return answer;
  }

  private count(what: string): number {
    const times = (this.used.get(what) ?? 0) + 1;
    this.used.set(what, times);
    return times;
  }
}

/** `Enter passphrase for key '/home/me/.ssh/id': ` */
function keyOf(text: string): string {
  return /'(.+)'/.exec(text)?.[1] ?? "the key";
}

const passphrases = new AskOnce<string | null>();
