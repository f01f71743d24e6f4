/** Questions of a cell to the user, over the stdin channel of the client that sent the cell. */
import { randomUUID } from "crypto";
import { type Content, type Request, flagOf } from "./message";

interface Question {
  /** Of the message that asked. */
  readonly id: string;
  resolve(answer: string): void;
  reject(error: Error): void;
}

export class Questions {
  private asked: Question | null = null;

  constructor(private readonly send: (request: Request, content: Content, id: string) => void) {}

  /** Rejects when nobody can be asked, and when the cell is interrupted. */
  ask(cell: Request | null, prompt: string, password: boolean): Promise<string> {
    if (!cell) return Promise.reject(new Error("readLine asks while a cell runs; none does."));
    if (!flagOf(cell.content, "allow_stdin", false)) {
      return Promise.reject(new Error("This client cannot ask: it runs the notebook without anybody to answer."));
    }
    if (this.asked) return Promise.reject(new Error("readLine has asked already; await its answer first."));
    return new Promise((resolve, reject) => {
      const id = randomUUID();
      this.asked = { id, resolve, reject };
      this.send(cell, { prompt, password }, id);
    });
  }

  /** @param id of the question that is answered; undefined: the client does not say. */
  answer(text: string, id: string | undefined): void {
    // An earlier one, which nobody waits for any more.
    if (id !== undefined && id !== this.asked?.id) return;
    const question = this.asked;
    this.asked = null;
    question?.resolve(text);
  }

  /** @param how the cell that asked ended. */
  cancel(how: "ended" | "interrupted"): void {
    const question = this.asked;
    this.asked = null;
    question?.reject(
      new Error(`The question was not answered: the cell ${how === "ended" ? "has ended" : "was interrupted"}.`),
    );
  }
}
