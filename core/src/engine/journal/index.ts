export * from "./claim";
export * from "./journal";
export * from "./layout";
export * from "./log-index";
export * from "./log-reader";
export type { LoggedSoFar } from "./log-resume";
export * from "./log-writer";
export * from "./sockets";
export * from "./spool";
