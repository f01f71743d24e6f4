/** Values as JSON for whoever reads notebooks, and as data that is nothing but JSON. */

/** How JSON writes half a character; the backslashes before it are pairs. */
const HALF = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

/**
 * In well-formed Unicode throughout, keys included: half a character, such as `"😀"[0]`, becomes "�". What holds one can be
 * written to no file, and the notebook with it. Throws TypeError for what is no JSON.
 */
export function jsonOf(value: object): string {
  const json = JSON.stringify(value);
  return json.includes("\\ud") ? json.replace(HALF, "$1\ufffd") : json;
}

/** As JSON would bring it to another process: nothing of it runs code of its own any more. Likewise. */
export function plainOf<T extends object>(value: T): T {
  if (Object.values(value).every((each) => typeof each === "string")) return { ...value };
  return JSON.parse(JSON.stringify(value)) as T;
}
