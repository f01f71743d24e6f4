export * from "./exposure-record";
export * from "./failure";
export * from "./host-spec";
export * from "./host-name";
export * from "./messages";
export * from "./python-call";
export * from "./task-record";
