/** What the user sees meanwhile: one line per step, with the time it took. */
import { Stopped } from "./lifetime.mjs";

const interactive = process.stdout.isTTY;
const clearLine = "\r\u001b[K";
const refreshMs = 500;

/** @param {number} ms */
export function formatSeconds(ms) {
  const seconds = ms / 1000;
  return seconds < 9.95 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

/** @param {string} text */
export function say(text = "") {
  process.stdout.write(`${interactive ? clearLine : ""}${text}\n`);
}

/** @param {string} text something the user should know or do; the set-up goes on */
export function warn(text) {
  const [first = "", ...more] = text.split("\n");
  say([`! ${first}`, ...more.map((line) => `  ${line}`)].join("\n"));
}

/**
 * Runs one step of the set-up and prints `✓ title (12 s)`, or `✗ title` when it fails.
 * On a terminal a line with the running time and the child's last line is refreshed meanwhile; elsewhere the title is
 * printed at the start of what takes longer than a moment, so that a log shows what is being waited for.
 * @template T
 * @param {string} title
 * @param {(onLine: (line: string) => void) => T | Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const start = Date.now();
  let detail = "";
  let announced = false;
  const show = () => {
    if (interactive) {
      const width = (process.stdout.columns || 80) - 1;
      const line = `… ${title} (${Math.round((Date.now() - start) / 1000)} s) ${detail}`;
      process.stdout.write(clearLine + line.slice(0, width));
    } else if (!announced) {
      announced = true;
      process.stdout.write(`… ${title}\n`);
    }
  };
  const timer = setInterval(show, refreshMs);
  try {
    const result = await work((line) => {
      detail = line.trim();
    });
    say(`✓ ${title} (${formatSeconds(Date.now() - start)})`);
    return result;
  } catch (error) {
    if (!(error instanceof Stopped)) say(`✗ ${title} (${formatSeconds(Date.now() - start)})`);
    throw error;
  } finally {
    clearInterval(timer);
    if (interactive) process.stdout.write(clearLine);
  }
}
