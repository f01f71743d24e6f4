/** Jupyter counts code points, JavaScript UTF-16 units. */

/** The index in UTF-16 units of the `count`th code point. */
export function toUtf16(text: string, count: number): number {
  let index = 0;
  for (let left = count; left > 0 && index < text.length; left--) {
    index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  }
  return index;
}

/** How many code points come before the index. */
export function toCodePoints(text: string, index: number): number {
  let count = 0;
  for (let at = 0; at < index && at < text.length; count++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return count;
}
