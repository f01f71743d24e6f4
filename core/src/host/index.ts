export { AgentClient } from "./agent-client";
export { agentFailure } from "./agent-error";
export { HostPool } from "./pool";
export type { AgentLease, PoolContext } from "./pool";
export { startProcess } from "./step-process";
export type { ProcessEnd, ProcessSinks, StepProcess } from "./step-process";
export { sendTree } from "./tree-send";
export { receiveTree } from "./tree-receive";
export type { Progress, TransferResult } from "./tree";
