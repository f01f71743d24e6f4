/** One value of an array or a column, as a short text. Pure. */
import { inspect } from "util";
import { oneLine } from "./text";

/** Characters of one cell. */
const WIDTH = 50;
/** NumPy's "no time". */
const NO_TIME = -(2n ** 63n);
/** Units of NumPy's times from the second down, and how many of them a second has. */
const PER_SECOND: Readonly<Record<string, bigint>> = {
  s: 1n,
  ms: 10n ** 3n,
  us: 10n ** 6n,
  ns: 10n ** 9n,
  ps: 10n ** 12n,
  fs: 10n ** 15n,
  as: 10n ** 18n,
};
const SECONDS: Readonly<Record<string, bigint>> = { m: 60n, h: 3600n, D: 86_400n, W: 604_800n };

/** @param dtype NumPy's name; empty for a list of anything. */
export function cell(value: unknown, dtype: string): string {
  if (value === null || value === undefined) return "null";
  if (dtype === "bool") return value === 0 ? "false" : "true";
  if (typeof value === "bigint") return time(value, dtype) ?? String(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  if (typeof value === "string") return oneLine(value, WIDTH);
  if (value instanceof Date) return isNaN(value.getTime()) ? "null" : readable(value);
  return oneLine(inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: WIDTH }), WIDTH);
}

/** Undefined where the dtype is no time, or one that has no seconds: then the number is shown. */
function time(value: bigint, dtype: string): string | undefined {
  const [, kind, step = "", unit = ""] = /^(datetime64|timedelta64)\[(\d*)(\w+)\]$/.exec(dtype) ?? [];
  if (kind === undefined) return undefined;
  if (value === NO_TIME) return "NaT";
  const count = value * BigInt(step === "" ? 1 : step);
  if (kind === "timedelta64") return `${String(count)} ${unit}`;
  const ms = milliseconds(count, unit);
  if (ms === undefined) return undefined;
  const date = new Date(ms);
  return isNaN(date.getTime()) ? undefined : readable(date);
}

function milliseconds(count: bigint, unit: string): number | undefined {
  if (unit === "Y") return Date.UTC(1970 + Number(count), 0);
  if (unit === "M") return Date.UTC(1970, Number(count));
  const seconds = SECONDS[unit];
  if (seconds !== undefined) return Number(count * seconds * 1000n);
  const perSecond = PER_SECOND[unit];
  return perSecond === undefined ? undefined : Number((count * 1000n) / perSecond);
}

/** Without the parts that are zero. */
function readable(date: Date): string {
  return date
    .toISOString()
    .replace(/Z$/, "")
    .replace(/\.000$/, "")
    .replace(/T00:00:00$/, "")
    .replace("T", " ");
}
