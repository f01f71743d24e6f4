/**
 * The patterns of gitignore, byte by byte as git reads them; texts hold a byte per character. Pure.
 *
 * Git's own reading is no regular expression's: an open bracket or an unknown class fits nothing, classes are those of
 * ASCII, `?` is one byte, and `**` is special only between slashes.
 */

/** Fits a byte; or any number of bytes, without slashes or with them (`deep`); or nothing, or all up to behind a slash. */
type Token = number | Set | "star" | "deep" | "folders";
interface Set {
  /** By its code. */
  readonly bytes: Uint8Array;
}

export type Glob = readonly Token[];

/** Bytes of a path; what has to fit more than these fits none. */
const MAX_PATH = 4096;
/** Steps of one comparison. An everyday one takes some dozen; only what is made for it takes more than these. */
const MAX_STEPS = 1_000_000;

const CLASSES = new Map<string, (byte: number) => boolean>(
  Object.entries({
    alnum: (byte: number) => isAlpha(byte) || isDigit(byte),
    alpha: isAlpha,
    blank: (byte: number) => byte === 0x20 || byte === 0x09,
    cntrl: (byte: number) => byte < 0x20 || byte === 0x7f,
    digit: isDigit,
    graph: (byte: number) => isPrint(byte) && byte !== 0x20,
    lower: isLower,
    print: isPrint,
    punct: (byte: number) => isPrint(byte) && byte !== 0x20 && !isAlpha(byte) && !isDigit(byte),
    // Git's own: without the vertical tab and the form feed.
    space: (byte: number) => [0x20, 0x09, 0x0a, 0x0d].includes(byte),
    upper: isUpper,
    xdigit: (byte: number) => isDigit(byte) || /[a-f]/i.test(String.fromCharCode(byte)),
  }),
);

/** Null for one that fits nothing. */
export function compile(pattern: string): Glob | null {
  const tokens: Token[] = [];
  let fixed = 0;
  for (let at = 0; at < pattern.length;) {
    const char = pattern.charAt(at);
    if (char === "*") {
      let end = at + 1;
      while (pattern[end] === "*") end += 1;
      const [token, next] = stars(pattern, at, end);
      tokens.push(token);
      at = next;
      continue;
    }
    fixed += 1;
    if (char === "?") {
      tokens.push(NO_SLASH);
      at += 1;
    } else if (char === "[") {
      const set = readSet(pattern, at + 1);
      if (set === null) return null;
      tokens.push(set);
      at = set.end;
    } else if (char === "\\") {
      if (at + 1 === pattern.length) return null;
      tokens.push(pattern.charCodeAt(at + 1));
      at += 2;
    } else {
      tokens.push(pattern.charCodeAt(at));
      at += 1;
    }
  }
  return fixed > MAX_PATH ? null : tokens;
}

/** Of a row of stars: what it is, and where it goes on. */
function stars(pattern: string, start: number, end: number): [Token, number] {
  const bound = end - start > 1 && (start === 0 || pattern[start - 1] === "/");
  if (!bound) return ["star", end];
  if (end === pattern.length || pattern.startsWith("\\/", end)) return ["deep", end];
  return pattern[end] === "/" ? ["folders", end + 1] : ["star", end];
}

/** Between brackets; null where they do not end, or a class is unknown. */
function readSet(pattern: string, start: number): (Set & { readonly end: number }) | null {
  const bytes = new Uint8Array(256);
  let at = start;
  const negated = pattern[at] === "!" || pattern[at] === "^";
  if (negated) at += 1;
  /** The beginning of what may be a range; a range and a class are none. */
  let from: number | null = null;
  for (let first = true; first || pattern[at] !== "]"; first = false) {
    const found = readClass(pattern, at);
    if (found === null) return null;
    if (found) {
      for (let byte = 0; byte < 0x80; byte++) if (found.has(byte)) bytes[byte] = 1;
      at = found.end;
      from = null;
      continue;
    }
    const isRange: boolean = from !== null && pattern[at] === "-" && at + 1 < pattern.length && pattern[at + 1] !== "]";
    if (isRange) at += 1;
    if (pattern[at] === "\\") at += 1;
    if (at >= pattern.length) return null;
    const byte = pattern.charCodeAt(at);
    if (isRange) bytes.fill(1, from ?? byte, Math.max(from ?? byte, byte + 1));
    else bytes[byte] = 1;
    from = isRange ? null : byte;
    at += 1;
  }
  if (negated) for (let byte = 0; byte < 256; byte++) bytes[byte] = bytes[byte] ? 0 : 1;
  bytes[SLASH] = 0;
  return { bytes, end: at + 1 };
}

/** `[:name:]`; false where there is none, null for one that is unknown or open. */
function readClass(
  pattern: string,
  at: number,
): { readonly has: (byte: number) => boolean; readonly end: number } | false | null {
  if (!pattern.startsWith("[:", at)) return false;
  const close = pattern.indexOf("]", at + 2);
  if (close < 0) return null;
  if (close === at + 2 || pattern[close - 1] !== ":") return false;
  const has = CLASSES.get(pattern.slice(at + 2, close - 1));
  return has ? { has, end: close + 1 } : null;
}

/**
 * Whether it fits all of the text from `start` on. What comes between two `**`, and between two stars, is taken where it
 * fits first: that leaves most for the rest, so only the last of each ever has to be widened. Throws Error where even
 * that takes too long.
 */
export function fits(glob: Glob, text: string, start = 0): boolean {
  let [token, at] = [0, start];
  let star: Widening | null = null;
  let deep: Widening | null = null;
  for (let steps = 0; ; steps++) {
    if (steps > MAX_STEPS) throw new Error(`a pattern of ${String(glob.length)} parts takes too long to compare`);
    const wanted = glob[token];
    if (wanted === "star") star = { token: ++token, at };
    else if (wanted === "deep" || wanted === "folders") {
      deep = { token: ++token, at, folders: wanted === "folders" };
      star = null;
    } else if (wanted === undefined && at === text.length) return true;
    else if (wanted !== undefined && at < text.length && fitsByte(wanted, text.charCodeAt(at))) {
      token += 1;
      at += 1;
    } else if (star && star.at < text.length && text.charCodeAt(star.at) !== SLASH) {
      star.at += 1;
      ({ token, at } = star);
    } else {
      star = null;
      if (!deep) return false;
      const slash: number = deep.folders ? text.indexOf("/", deep.at) : deep.at;
      if (slash < 0 || slash >= text.length) return false;
      deep.at = slash + 1;
      ({ token, at } = deep);
    }
  }
}

/** Where it goes on when what follows does not fit. */
interface Widening {
  readonly token: number;
  at: number;
  readonly folders?: boolean;
}

function fitsByte(token: number | Set, byte: number): boolean {
  return typeof token === "number" ? token === byte : token.bytes[byte] === 1;
}

const SLASH = 0x2f;
const NO_SLASH: Set = { bytes: new Uint8Array(256).fill(1).fill(0, SLASH, SLASH + 1) };

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
function isLower(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}
function isUpper(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}
function isAlpha(byte: number): boolean {
  return isLower(byte) || isUpper(byte);
}
function isPrint(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}
