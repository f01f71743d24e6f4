/** Questions of a cell to the user, over the stdin channel of the client that sent the cell. */
import { type Content, type Request, flagOf } from "./message";

interface Question {
  resolve(answer: string): void;
  reject(error: Error): void;
}

export class Questions {
  private asked: Question | null = null;

  constructor(private readonly send: (request: Request, content: Content) => void) {}

  /** Rejects when nobody can be asked, and when the cell is interrupted. */
  ask(cell: Request | null, prompt: string, password: boolean): Promise<string> {
    if (!cell) return Promise.reject(new Error("readLine asks while a cell runs; none does."));
    if (!flagOf(cell.content, "allow_stdin", false)) {
      return Promise.reject(new Error("This client cannot ask: it runs the notebook without anybody to answer."));
    }
    if (this.asked) return Promise.reject(new Error("readLine has asked already; await its answer first."));
    return new Promise((resolve, reject) => {
      this.asked = { resolve, reject };
      this.send(cell, { prompt, password });
    });
  }

  answer(text: string): void {
    const question = this.asked;
    this.asked = null;
    question?.resolve(text);
  }

  cancel(): void {
    const question = this.asked;
    this.asked = null;
    question?.reject(new Error("The question was not answered: the cell was interrupted."));
  }
}
