/** `%lazycluster`: the commands, for notebooks. */
import type { Magics } from "../notebook/magics";

export const magics: Magics = {
  show: () => Promise.reject(new Error("no commands yet")),
  value: () => Promise.reject(new Error("no commands yet")),
  complete: (line) =>
    Promise.resolve({ matches: ["list-runtimes"].filter((name) => name.startsWith(line)), start: 0, end: line.length }),
  help: () => Promise.resolve(""),
};
