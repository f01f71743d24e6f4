/** Values as data that is nothing but JSON. */

/** As JSON would bring it to another process: nothing of it runs code of its own any more. Throws TypeError for what is no JSON. */
export function plainOf<T extends object>(value: T): T {
  if (Object.values(value).every((each) => typeof each === "string")) return { ...value };
  return JSON.parse(JSON.stringify(value)) as T;
}
