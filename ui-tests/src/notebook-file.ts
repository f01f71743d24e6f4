/** Notebook files: made for a test, and read again after it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./settings";

interface Output {
  readonly output_type: string;
  readonly name?: string;
}
interface Cell {
  readonly cell_type: string;
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

/** @returns the file's name in the served folder */
export function writeNotebook(name: string, cells: readonly string[]): string {
  const file = `${name}.ipynb`;
  const notebook = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "lazycluster", display_name: "TypeScript (lazycluster)", language: "typescript" },
      language_info: { name: "typescript", file_extension: ".ts", mimetype: "text/typescript" },
    },
    cells: cells.map((source, index) => ({
      cell_type: "code",
      id: `cell-${index}`,
      source,
      metadata: {},
      execution_count: null,
      outputs: [],
    })),
  };
  writeFileSync(join(root, file), JSON.stringify(notebook));
  return file;
}

/** As they were saved. */
export function readCells(file: string): readonly Cell[] {
  return (JSON.parse(readFileSync(join(root, file), "utf8")) as { cells: readonly Cell[] }).cells;
}
