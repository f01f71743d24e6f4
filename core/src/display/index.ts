export * from "./jupyter";
export * from "./live";
export * from "./table";
export * from "./task-view";
export * from "./text";
