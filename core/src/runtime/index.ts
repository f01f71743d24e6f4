export { Connection } from "./connection";
export type { ConnectionOptions, RuntimeOptions } from "./host-options";
export { Runtime } from "./runtime";
export { Session } from "./session";
export type { SessionOptions, SessionState } from "./session";
