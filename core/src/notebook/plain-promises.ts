/** Promises print as they always do, also where Node notes on each to which asynchronous context it belongs. */
import { inspect } from "util";

/** Node's notes; from version 24 on there are none. */
const NOTES = new Set(["async_id_symbol", "trigger_async_id_symbol", "kResourceStore"]);

/** For all promises of this process. */
export function printPromisesPlainly(): void {
  void Object.defineProperty(Promise.prototype, inspect.custom, {
    value: hideNotes,
    configurable: true,
    writable: true,
  });
}

/** What gives itself is printed as if this function were not there. */
function hideNotes(this: object): object {
  for (const key of Object.getOwnPropertySymbols(this)) {
    if (!NOTES.has(key.description ?? "") || !Object.getOwnPropertyDescriptor(this, key)?.configurable) continue;
    Object.defineProperty(this, key, { enumerable: false });
  }
  return this;
}
