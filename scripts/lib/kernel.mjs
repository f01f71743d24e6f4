/** Registers the kernel in .venv, where only this project's JupyterLab finds it. */
import { createRequire } from "node:module";
import { inProject, venvDirectory } from "./paths.mjs";
import { step } from "./progress.mjs";

/** @typedef {{ installKernelspec: (prefix: string) => string }} KernelInstaller extension/kernel/src/install.ts */

export async function registerKernel() {
  await step("TypeScript (lazycluster) kernel", () => {
    const require = createRequire(import.meta.url);
    /** @type {KernelInstaller} */
    const { installKernelspec } = require(inProject("extension", "kernel", "dist", "install.js"));
    installKernelspec(venvDirectory);
  });
}
