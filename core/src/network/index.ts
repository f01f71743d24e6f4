export { Exposure } from "./exposure";
export type { ExposureContext, Route } from "./exposure";
export { hostPlace, managerPlace } from "./place";
export type { LossListener, Place, Reached } from "./place";
