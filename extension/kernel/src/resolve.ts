/** Makes `import … from "lazycluster"` resolve in the notebooks of every folder, for the type checker and at run time. */
import { existsSync } from "fs";
import { createRequire } from "module";
import { dirname, join } from "path";
import type { CompilerOptions, Tslab, TypeScript } from "./tslab";

const packageName = "lazycluster";
const subPathPrefix = `${packageName}/`;

/**
 * The directory of the library: the notebook folder's own copy if there is one, else the kernel's. Type checker, cells
 * and kernel use the same one, for two copies in a process would have two engines, and errors that are not `instanceof`.
 */
export function findLibrary(notebookFolder: string): string {
  const manifest = `${subPathPrefix}package.json`;
  try {
    return dirname(createRequire(join(notebookFolder, "cell.js")).resolve(manifest));
  } catch {
    return dirname(createRequire(__filename).resolve(manifest));
  }
}

interface ModuleLoader {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

/** For what a cell requires at run time. */
export function hookLoader(library: string): void {
  const loader = createRequire(__filename)("module") as ModuleLoader;
  const resolve = loader._resolveFilename.bind(loader);
  loader._resolveFilename = (request, ...rest) => {
    if (request === packageName) return resolve(library, ...rest);
    if (request.startsWith(subPathPrefix)) return resolve(join(library, request.slice(subPathPrefix.length)), ...rest);
    return resolve(request, ...rest);
  };
}

/** For what the type checker sees; tslab must not have loaded its converter yet. */
export function hookTypeChecker(tslab: Tslab, library: string): void {
  const typescript = tslab.loadTypeScript();
  // The directory that holds `node`, wherever npm has put it. tslab looks for it in its own node_modules only, where it
  // is not once npm has hoisted it; then not even `console` is found.
  const nodeTypes = dirname(dirname(tslab.resolveDependency("@types/node/package.json")));
  const withLibrary = (options: CompilerOptions): CompilerOptions => ({
    ...options,
    paths: { ...options.paths, [packageName]: [library], [`${subPathPrefix}*`]: [`${library}/*`] },
    typeRoots: [...(options.typeRoots ?? []).filter((directory) => existsSync(directory)), nodeTypes],
  });
  // Its exports are getters that cannot be changed; a copy of their values can.
  const replacement: TypeScript = { ...typescript };
  replacement.createWatchCompilerHost = (rootFiles, options, ...rest) =>
    typescript.createWatchCompilerHost(rootFiles, withLibrary(options), ...rest);
  tslab.replaceTypeScript(replacement);
}
