export * from "./array-view";
export * from "./frame-view";
export * from "./jupyter";
export * from "./live";
export * from "./python-object";
export * from "./table";
export * from "./task-view";
export * from "./text";
