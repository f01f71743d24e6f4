export * from "./jupyter";
export * from "./live";
export * from "./task-view";
export * from "./text";
export * from "./transfer-view";
