export type { TransferResult } from "./entry";
export type { Progress } from "../shared/progress";
export type { OpenLane } from "./lanes";
export type { TransferRequest } from "./request";
export { receiveTree } from "./receive";
export { sendTree } from "./send";
export { syncTree } from "./sync";
export type { SyncResult } from "./sync";
