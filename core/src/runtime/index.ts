export { Connection } from "./connection";
export type { ConnectionOptions, RuntimeOptions } from "./host-options";
export { Runtime } from "./runtime";
