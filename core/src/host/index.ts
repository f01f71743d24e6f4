export { abortable } from "./abortable";
export { AgentClient } from "./agent-client";
export { agentFailure } from "./agent-error";
export { HostPool } from "./pool";
export type { AgentLease, PoolContext } from "./pool";
export { startProcess } from "./step-process";
export type { ProcessEnd, ProcessSinks, StepProcess } from "./step-process";
export { receiveTree, sendTree, syncTree } from "./tree";
export type { OpenLane, Progress, SyncResult, TransferRequest, TransferResult } from "./tree";
