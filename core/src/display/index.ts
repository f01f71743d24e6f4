export * from "./host";
export * from "./jupyter";
export * from "./live";
export * from "./task-view";
export * from "./text";
