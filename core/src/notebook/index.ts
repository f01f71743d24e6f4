/** The kernel without what carries its messages; for the kernel of this project. Loads nothing of the library. */
export type {
  Completions,
  Converted,
  Converter,
  ConverterSet,
  Executor,
  ExecutorConsole,
  TslabDiagnostic,
  TslabParts,
} from "./executor-parts";
export { TSLAB_VERSION } from "./executor-parts";
export { Kernel } from "./kernel";
export type { KernelParts } from "./kernel";
export { kernelInfo } from "./kernel-info";
export type { Completed, Magics } from "./magics";
export type { TypeScript } from "./source/typescript";
export * from "./wire";
