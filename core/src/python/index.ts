export { PySource, py, pyFile, pyModule } from "./source";
export type { PyFunction, PyKwargs, PyValue } from "./source";
export { decodeValue, encodeValue } from "./values";
