/** The order in which a login proves who the user is. ssh2 asks after each refusal what to try next. */

import type { AnyAuthMethod, AuthenticationType, Prompt } from "ssh2";
import type { EngineFailure } from "../../engine/protocol/failure";
import type { Asker } from "../ssh/ask";
import { refused } from "../ssh/auth-error";
import { fail, type Target } from "../shared/connection-errors";
import type { Identities, Identity } from "../ssh/identities";
import { UnusableKey } from "../ssh/key-file";
import type { Ssh2 } from "../ssh/ssh2-module";

export interface AuthSettings {
  readonly password: string | null;
  /** Switched on by the ssh config. */
  readonly methods: { readonly publickey: boolean; readonly password: boolean; readonly keyboardInteractive: boolean };
  readonly preferredMethods: readonly string[] | null;
}

type Method = "publickey" | "keyboard-interactive" | "password";

/** How often one login asks the user, for each method. */
const QUESTIONS = 3;

export class Authentication {
  /** What ended the login, where that is not simply a refusal. */
  #ended: EngineFailure | null = null;
  readonly #tried: string[] = [];
  readonly #notes: string[];
  /** What the host accepts; null until it told. */
  #accepted: readonly string[] | null = null;
  #keysDone = false;
  #signed = false;
  #asked = { password: 0, "keyboard-interactive": 0 };
  #passwordUsed = { password: false, "keyboard-interactive": false };
  #probes = 0;

  constructor(
    readonly ssh2: Ssh2,
    readonly target: Target,
    readonly settings: AuthSettings,
    readonly identities: Identities,
    readonly asker: Asker,
  ) {
    this.#notes = [...identities.notes];
  }

  /** ssh2's authHandler. Each call follows a refusal, but the first. */
  readonly handler = (
    methodsLeft: AuthenticationType[] | null,
    _partialSuccess: boolean | null,
    next: (method: AnyAuthMethod | false) => void,
  ): void => {
    // ssh2 repeats an old list after keys, but then one probe asks for the new one (see #choose).
    if (methodsLeft !== null) this.#accepted = methodsLeft;
    this.#choose().then(next, (error: unknown) => {
      this.#ended = error as EngineFailure;
      next(false);
    });
  };

  /** What to tell the user. @param serverSaid why the host hung up, if it said so. */
  failure(serverSaid: string | null): EngineFailure {
    return (
      this.#ended ??
      refused(this.target, {
        tried: this.#tried,
        notes: [...this.#notes, ...others(this.#accepted)],
        accepted: this.#accepted,
        serverSaid,
      })
    );
  }

  async #choose(): Promise<AnyAuthMethod | false> {
    const username = this.target.user;
    // With nothing but keys to give, they are offered at once: that saves a round trip. Else the host is asked first
    // which methods it takes, as ssh does, so that nobody is asked for a password that the host does not want.
    if (this.#accepted === null && this.#probes === 0 && (this.#canUsePassword() || !this.#hasKeys())) {
      this.#probes++;
      return { type: "none", username };
    }
    for (const method of this.#order()) {
      const attempt = this.#accepts(method) ? await this.#attempt(method) : null;
      if (attempt) return attempt;
    }
    // ssh2 does not tell what the host said after keys: a login in several steps may go on, and the error wants to know.
    if (this.#keysDone && this.#probes < 2 && (this.#accepted === null || (this.#signed && this.#canUsePassword()))) {
      this.#probes = 2;
      return { type: "none", username };
    }
    return false;
  }

  #order(): Method[] {
    const { preferredMethods, password } = this.settings;
    const all: Method[] =
      password === null
        ? ["publickey", "keyboard-interactive", "password"]
        : ["publickey", "password", "keyboard-interactive"];
    if (preferredMethods === null) return all;
    return preferredMethods.flatMap((name) => all.filter((method) => method === name));
  }

  #accepts(method: Method): boolean {
    const on = method === "keyboard-interactive" ? "keyboardInteractive" : method;
    return this.settings.methods[on] && (this.#accepted?.includes(method) ?? method === "publickey");
  }

  async #attempt(method: Method): Promise<AnyAuthMethod | null> {
    switch (method) {
      case "publickey":
        return this.#offerKeys();
      case "password":
        return this.#givePassword();
      case "keyboard-interactive":
        return this.#answerQuestions();
    }
  }

  #hasKeys(): boolean {
    return this.settings.methods.publickey && this.identities.offered.length > 0;
  }

  #canUsePassword(): boolean {
    return this.settings.password !== null || this.asker !== null;
  }

  /** All keys as one agent of ours: ssh2 offers them one by one, and has one signed only when the host wants it. */
  #offerKeys(): AnyAuthMethod | null {
    const { offered } = this.identities;
    if (this.#keysDone || offered.length === 0) return null;
    this.#keysDone = true;
    const ofAgent = offered.filter(({ from }) => from === "agent").length;
    if (ofAgent > 0) this.#tried.push(`agent (${ofAgent} ${ofAgent === 1 ? "key" : "keys"})`);
    this.#tried.push(...offered.filter(({ from }) => from === "file").map(({ label }) => label));

    const agent = createKeyRing(this.ssh2, offered, async (identity, data, hash) => {
      try {
        const signature = await identity.sign(data, hash);
        this.#signed = true;
        return signature;
      } catch (error) {
        if (error instanceof UnusableKey) this.#notes.push(error.message);
        else this.#ended = error as EngineFailure;
        throw error;
      }
    });
    return { type: "agent", username: this.target.user, agent };
  }

  async #givePassword(): Promise<AnyAuthMethod | null> {
    if (this.#ended) throw this.#ended;
    const { user, host } = this.target;
    let { password } = this.settings;
    if (password === null || this.#passwordUsed.password) {
      if (this.asker === null || this.#asked.password >= QUESTIONS) return null;
      this.#asked.password++;
      password = await this.asker.askSecret("password", `Password of ${user} on ${host}: `);
      if (password === null) return null;
    }
    this.#passwordUsed.password = true;
    this.#note("password");
    return { type: "password", username: user, password };
  }

  #answerQuestions(): AnyAuthMethod | null {
    if (this.#ended) throw this.#ended;
    const { password } = this.settings;
    const byPassword = password !== null && !this.#passwordUsed["keyboard-interactive"] ? password : null;
    if (byPassword === null && (this.asker === null || this.#asked["keyboard-interactive"] >= QUESTIONS)) return null;
    this.#passwordUsed["keyboard-interactive"] = true;
    if (byPassword === null) this.#asked["keyboard-interactive"]++;
    this.#note("keyboard-interactive");
    return {
      type: "keyboard-interactive",
      username: this.target.user,
      prompt: (name, instructions, _language, prompts, finish) => {
        this.#answer([name, instructions].filter(Boolean).join("\n"), prompts, byPassword).then(
          finish,
          (error: unknown) => {
            this.#ended = error as EngineFailure;
            finish(prompts.map(() => ""));
          },
        );
      },
    };
  }

  /** Many hosts ask for the plain password in this way. */
  async #answer(instructions: string, prompts: readonly Prompt[], password: string | null): Promise<string[]> {
    const [first] = prompts;
    if (password !== null && prompts.length === 1 && first?.echo !== true) return [password];
    if (this.asker === null) {
      const texts = prompts.map(({ prompt }) => JSON.stringify(prompt.trim())).join(", ");
      throw fail(
        this.target,
        "ERR_AUTHENTICATION",
        `the host asks ${texts}, and nobody can answer. Give the connection a prompt.`,
      );
    }
    return this.asker.ask({
      kind: "keyboard-interactive",
      instructions,
      prompts: prompts.map(({ prompt, echo }) => ({ text: prompt, echo: echo === true })),
    });
  }

  #note(method: string): void {
    if (!this.#tried.includes(method)) this.#tried.push(method);
  }
}

/** What the host would take, and this transport does not have. */
function others(accepted: readonly string[] | null): string[] {
  const names = (accepted ?? []).filter((name) => name.startsWith("gssapi-") || name === "hostbased");
  return names.map((name) => `${name}: only the transport "openssh" can do that`);
}

/** Declared here and not as a class of this file: ssh2 wants a subclass of its own, and is loaded late. */
function createKeyRing(
  ssh2: Ssh2,
  identities: readonly Identity[],
  sign: (identity: Identity, data: Buffer, hash: string | undefined) => Promise<Buffer>,
): InstanceType<Ssh2["BaseAgent"]> {
  type Callback = (error?: Error | null, signature?: Buffer) => void;
  class KeyRing extends ssh2.BaseAgent<Identity["publicKey"]> {
    override getIdentities(callback: (error?: Error | null, keys?: Identity["publicKey"][]) => void): void {
      callback(
        null,
        identities.map(({ publicKey }) => publicKey),
      );
    }

    override sign(
      key: Identity["publicKey"],
      data: Buffer,
      options: { hash?: string } | Callback,
      callback?: Callback,
    ): void {
      const done = typeof options === "function" ? options : callback;
      const hash = typeof options === "function" ? undefined : options.hash;
      const identity = identities.find(({ publicKey }) => publicKey === key);
      if (!identity) {
        done?.(new Error("ssh2 wants a signature of a key that was not offered"));
        return;
      }
      sign(identity, data, hash).then(
        (signature) => done?.(null, signature),
        (error: unknown) => done?.(error as Error),
      );
    }
  }
  return new KeyRing();
}
