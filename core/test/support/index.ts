export * from "./lazycluster";
export { eventually, rejection, timeUntil } from "./eventually";
export { type Workspace, leftovers, workspace } from "./workspace";
export { type Exit, Manager, type ManagerOptions, residentBytes, startManager } from "./manager";
export { agentAndKeeper, expectCleanHost, linkUp, processesWith, temporaryFolders } from "./host-state";
export { Machine, noMachines } from "./machine";
export { SCIENCE, pythonOf } from "./pythons";
export { printed } from "./printed";
