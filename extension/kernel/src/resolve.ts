/** Makes `import … from "lazycluster"` resolve in the notebooks of every folder, for the type checker and at run time. */
import { createRequire } from "module";
import { dirname, join } from "path";

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

/** For what the type checker sees. */
export function libraryPaths(library: string): Record<string, string[]> {
  return { [packageName]: [library], [`${subPathPrefix}*`]: [`${library}/*`] };
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
