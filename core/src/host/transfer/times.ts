/** Times of files, in whole nanoseconds, and what Node can set of them. Pure. */

const SECOND = 1_000_000_000n;
/** [ns] What a record can hold. */
const LAST = 2n ** 63n - 1n;
/** [ns] The steps in which Node sets a time, and from 2242 on, where a double is coarser. */
const STEP = 1000n;
const FAR_STEP = 8000n;
const FAR = 2n ** 33n * SECOND;

/** Times before 1677 and after 2262 travel as the nearest of these. The agent's `files/entries.py` does the same. */
export function clampTime(time: bigint): bigint {
  return time > LAST ? LAST : time < -LAST ? -LAST : time;
}

/** Whether a file with one of the times could not get any nearer to the other. */
export function isSameTime(one: bigint, other: bigint): boolean {
  return one === other || settable(one) === settable(other);
}

/** The same for all times that Node cannot tell apart. Rounded down, also before 1970. */
function settable(time: bigint): bigint {
  const step = stepOf(time);
  return floor(time, step) * step;
}

/**
 * For `utimes` and the like, which take seconds as a double and cut that off towards 1970: so it is half a step more, in that
 * direction. As text, for of a negative number Node makes the time of now.
 */
export function secondsOf(time: bigint): string {
  const step = stepOf(time);
  const start = settable(time);
  const far = step === FAR_STEP;
  const half = (Number(step) / 2) * (time < 0n && !far ? -1 : 1);
  const whole = floor(start, SECOND);
  // The two parts apart, for together they have more digits than a double.
  return String(Number(whole) + (Number(start - whole * SECOND) + half) / 1e9);
}

function stepOf(time: bigint): bigint {
  return time >= FAR || time < -FAR ? FAR_STEP : STEP;
}

function floor(value: bigint, by: bigint): bigint {
  const cut = value / by;
  return cut * by > value ? cut - 1n : cut;
}
