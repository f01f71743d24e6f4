/** Readable, unique names of tasks that were given none. */
import { randomInt } from "crypto";

const FIRST = [
  "amber",
  "brisk",
  "calm",
  "deft",
  "eager",
  "fair",
  "green",
  "hazy",
  "keen",
  "lucid",
  "merry",
  "noble",
  "quiet",
  "rapid",
  "solid",
  "tidy",
];
const SECOND = [
  "badger",
  "crane",
  "dolphin",
  "falcon",
  "heron",
  "ibex",
  "jay",
  "lynx",
  "marten",
  "newt",
  "otter",
  "plover",
  "raven",
  "seal",
  "tern",
  "wren",
];

let count = 0;

/** Such as `task-3-quiet-heron`. */
export function generateName(): string {
  count += 1;
  return `task-${String(count)}-${FIRST[randomInt(FIRST.length)] ?? ""}-${SECOND[randomInt(SECOND.length)] ?? ""}`;
}
