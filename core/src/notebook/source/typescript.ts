/** TypeScript itself, given by whoever runs the kernel: it is no dependency of the library. */
import type * as ts from "typescript";

export type TypeScript = typeof ts;
