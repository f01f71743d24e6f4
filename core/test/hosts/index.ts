export { startHosts, canIsolate, PYTHONS } from "./start-hosts";
export { needsIsolation, needsOrdinaryUser, needsRoot, needsTerminals, unless } from "./needs";
export type { HostsOptions, TestHost, TestHosts } from "./types";
export type { HostProcess } from "./processes";
export { removeTree } from "./claim";
export { startDelayProxy, type DelayProxy } from "./delay-proxy";
export { makeKey, publicKey, knownHostsLines } from "./keys";
export { run, must, type RunResult } from "./run";
