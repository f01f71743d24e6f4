/** Asks the engine, and gives its failures as the public errors. */
import { engineClient } from "../engine/client";
import { EngineFailure, type RequestKind, type Requests } from "../engine/protocol";
import { log } from "../environment";
import { errorFromFailure } from "../errors";

engineClient().setLog((level, message) => log(level, message));

/** Rejects LazyclusterError. */
export async function callEngine<K extends RequestKind>(kind: K, body: Requests[K]["in"]): Promise<Requests[K]["out"]> {
  try {
    return await engineClient().request(kind, body);
  } catch (error) {
    throw error instanceof EngineFailure ? errorFromFailure(error.data) : error;
  }
}
