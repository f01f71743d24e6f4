/** What the thread that talks to Jupyter needs; no more is loaded there. */
export { BadMessage, Codec } from "./codec";
export { jsonOf } from "./json";
export { Interrupter } from "./interrupt/interrupter";
export { ThreadState } from "./interrupt/thread-state";
export * from "./message";
export { SendQueue } from "./send-queue";
export { TextRing } from "./text-ring";
export type { Position } from "./text-ring";
