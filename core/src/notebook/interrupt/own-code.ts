/** Whether a thread is in the middle of code that cells brought, or of the kernel's own, which must not be stopped halfway. */
import { dirname, join, sep } from "path";

/** Of the kernel and the library; the parts of tslab lie in packages. */
export const OUR_FOLDERS: readonly string[] = [join(__dirname, "..", ".."), dirname(process.argv[1] ?? __dirname)];
const OUR_PACKAGES = /[\\/]node_modules[\\/](?:tslab|@tslab|lazycluster)[\\/]/;

/** @param below the function that asks; it, and what it calls, does not count. */
export function runsUserCode(below: (...given: never[]) => unknown): boolean {
  return stackBelow(below).some(isUsers);
}

function isUsers(frame: NodeJS.CallSite): boolean {
  // What only waits for this is not on the stack.
  if ((frame as { isAsync?(): boolean }).isAsync?.() === true) return false;
  const file = frame.getFileName() ?? "";
  if (file === "") return frame.isEval();
  return (
    !file.startsWith("node:") && !OUR_PACKAGES.test(file) && !OUR_FOLDERS.some((own) => file.startsWith(own + sep))
  );
}

/** Without a call of what cells may have put there to describe stacks. */
function stackBelow(below: (...given: never[]) => unknown): readonly NodeJS.CallSite[] {
  const { stackTraceLimit } = Error;
  const former = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
  const describe = (_: unknown, frames: unknown): unknown => frames;
  Object.defineProperty(Error, "prepareStackTrace", { value: describe, configurable: true, writable: true });
  Error.stackTraceLimit = Infinity;
  try {
    const holder: { stack?: readonly NodeJS.CallSite[] } = {};
    Error.captureStackTrace(holder, below);
    return holder.stack ?? [];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    if (former) Object.defineProperty(Error, "prepareStackTrace", former);
    else Reflect.deleteProperty(Error, "prepareStackTrace");
  }
}
