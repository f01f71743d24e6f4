export * from "./array-view";
export * from "./frame-view";
export * from "./jupyter";
export * from "./live";
export * from "./task-view";
export * from "./text";
