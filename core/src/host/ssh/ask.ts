/** Questions to the user during a login. */

import { abortable } from "../shared/within";
import { fail, type Target } from "../shared/connection-errors";
import type { ConnectContext } from "../shared/transport";
import type { PromptRequest } from "../../engine/protocol/host-spec";

export type Question = Pick<PromptRequest, "kind" | "instructions" | "prompts">;

/** Null where nobody can be asked. */
export type Asker = UserPrompt | null;

export class UserPrompt {
  /**
   * @param prompt the user's callback
   * @param pausedFor keeps the time that a person takes out of the login's time limit
   */
  constructor(
    readonly target: Target,
    readonly prompt: NonNullable<ConnectContext["prompt"]>,
    readonly pausedFor: <R>(work: () => Promise<R>) => Promise<R>,
    /** Aborted: the login is over, and nobody waits for an answer. */
    readonly signal: AbortSignal,
  ) {}

  /** As many answers as prompts. Rejects EngineFailure when the user, or the callback, refuses. */
  async ask(question: Question): Promise<string[]> {
    let answers: unknown;
    try {
      answers = await this.pausedFor(() => this.#answers(question));
    } catch (error) {
      if (this.signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw this.#fail(`the login was ended, because the prompt for a ${question.kind} was refused: ${why}`, error);
    }
    const count = question.prompts.length;
    if (!Array.isArray(answers) || answers.length !== count || !answers.every((answer) => typeof answer === "string")) {
      throw this.#fail(
        `the prompt callback must give ${count} string(s) for a ${question.kind}. Correct the callback.`,
      );
    }
    return answers;
  }

  /** One secret; null: the answer was empty, which means "none". */
  async askSecret(kind: PromptRequest["kind"], text: string): Promise<string | null> {
    const [answer = ""] = await this.ask({ kind, instructions: "", prompts: [{ text, echo: false }] });
    return answer === "" ? null : answer;
  }

  async #answers(question: Question): Promise<unknown> {
    const { host, user } = this.target;
    this.signal.throwIfAborted();
    return abortable(this.prompt({ ...question, host, user }), this.signal, host);
  }

  #fail(what: string, cause?: unknown): Error {
    return fail(this.target, "ERR_AUTHENTICATION", what, {}, cause);
  }
}

/** Logins that run at the same time and want to know the same ask once, not once per host. */
export class AskOnce<T> {
  private readonly asking = new Map<string, Promise<T>>();

  run(what: string, asker: UserPrompt, ask: () => Promise<T>): Promise<T> {
    const running = this.asking.get(what);
    if (running) return asker.pausedFor(() => running);
    const answer = ask().finally(() => this.asking.delete(what));
    this.asking.set(what, answer);
    return answer;
  }
}
