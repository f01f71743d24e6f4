/**
 * How a host is reached and asked. `shared`: what all rooms build on (waits, retries, connections as a type). `agent`: the client of the
 * agent on a host, its operations, processes and recordings. `ssh`: config, keys, known hosts, questions, places for logins. `ports`:
 * forwards. `ssh2`, `openssh`, `local`: the three transports. `transfer`: files and folders. Here: which transport, and the pool.
 */
export { abortable, within } from "./shared/within";
export { jsWorker } from "./agent/bundle";
export { AgentClient } from "./agent/client";
export { agentFailure } from "./agent/error";
export { harmless } from "./shared/harmless";
export { HostPool } from "./pool";
export { Recording } from "./agent/recording";
export type { AgentLease } from "./agent/lease";
export type { PoolContext } from "./pool";
export { startProcess, untilEnd } from "./agent/step-process";
export { receiveTree, sendTree, syncTree } from "./transfer";
export type { OpenLane, Progress, SyncResult, TransferRequest, TransferResult } from "./transfer";
export type { ProcessEnd, ProcessHost, ProcessSinks, StepProcess } from "./agent/step-process";
export type { Incoming, PortListener, PortStream, Ports } from "./shared/ports";
export { HostPorts } from "./ports/host";
export { breakOff, join } from "./ports/join";
export { listenFailure, portInUse } from "./ports/relay";
export { ComeBack } from "./shared/come-back";
export { connectHost } from "./connect";
export { reach } from "./reach";
export { resolveRoute } from "./ssh/route";
export type { Route } from "./ssh/route";
