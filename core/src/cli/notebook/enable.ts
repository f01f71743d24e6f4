import { LazyclusterError } from "../../errors";
import { notebookHost } from "../../display";
import { findStock } from "../../notebook/stock/modules";
import { enableStock } from "../../notebook/stock/enable";
import { magics } from "./index";

let enabled = false;

export function enable(): void {
  if (enabled || notebookHost()) return;
  let modules: ReturnType<typeof findStock>;
  try {
    modules = findStock();
  } catch (error) {
    throw new LazyclusterError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (!modules) {
    throw new LazyclusterError(
      "enableTslab is for cells of a tslab kernel, and this process is none. `lazycluster kernel install` registers one.",
    );
  }
  enabled = true;
  enableStock(modules, magics);
}
