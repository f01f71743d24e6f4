export { DemoError } from "./error";
export { demoDown, demoStatus, demoUp } from "./hosts";
export type { DemoDown, DemoHost, DemoState, DemoUp } from "./hosts";
export { demoDirectory } from "./layout";
export { demoCommandOutput } from "./output";
