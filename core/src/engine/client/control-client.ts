/** Asks another process's engine, over its control socket. */
import { createConnection } from "net";
import { EngineFailure, type FailureData, type Requests } from "../protocol";
import { FrameDecoder, encodeFrameHead } from "../../wire";

/** [ms] that an answer may take; a cancel is confirmed by the host. */
const ANSWER_MS = 20_000;

/** The other process lives or not, but says nothing; the message is why. */
export class NoAnswer extends Error {}

/**
 * Ends an execution of another process; false when it does not run there (any more). Rejects NoAnswer, or with the
 * EngineFailure that it answers.
 *
 * @param controlSocket empty: it could make none
 */
export async function cancelElsewhere(controlSocket: string, id: string): Promise<Requests["cancel"]["out"]> {
  if (controlSocket === "") throw new NoAnswer("it has no control socket");
  return (await ask(controlSocket, { op: "cancel", id })) === true;
}

function ask(controlSocket: string, header: { readonly op: string; readonly id: string }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder();
    const socket = createConnection(controlSocket);
    const finish = (outcome: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      outcome();
    };
    const fail = (reason: string): void => finish(() => reject(new NoAnswer(reason)));
    const timer = setTimeout(() => fail(`nothing for ${String(ANSWER_MS)} ms`), ANSWER_MS);
    socket.on("connect", () => socket.write(encodeFrameHead(header)));
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail("it closed the connection"));
    socket.on("data", (piece: Buffer) => {
      try {
        for (const { payload } of decoder.push(piece)) {
          const reply = JSON.parse(payload.toString("utf8")) as {
            ok: boolean;
            result?: unknown;
            failure?: FailureData;
          };
          finish(() => {
            if (reply.ok) resolve(reply.result);
            else reject(new EngineFailure(reply.failure ?? { code: "ERR_OTHER", message: "the request failed" }));
          });
          return;
        }
      } catch (error) {
        fail(String(error));
      }
    });
  });
}
