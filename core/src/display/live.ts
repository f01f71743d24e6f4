/** Live display in a tslab notebook: a table that updates itself while something runs. */
import { randomUUID } from "crypto";
import { type NotebookHost, notebookHost } from "./host";
import type { MimeBundle } from "./jupyter";

/** [ms] between two updates. */
const UPDATE_MS = 100;

/** tslab's own display, as far as we use it. */
interface TslabDisplay {
  html(text: string): void;
  /** A form alone; binary ones in base64. */
  raw(type: string, content: string): void;
}
interface Tslab {
  readonly display: TslabDisplay;
  newDisplay(): TslabDisplay;
}

export interface LiveSource {
  /** Resolves when there may be something new to show. */
  changed(): Promise<void>;
  ended(): boolean;
  /** Resolves when nothing new will come. */
  readonly settled: Promise<void>;
}

/**
 * What an object prints when it is logged, or is the last expression of a cell. In a tslab notebook it shows its table, live while
 * it runs, and prints nothing; elsewhere, and inside other objects, it is its plain text.
 */
export function showLive(depth: number, show: () => MimeBundle, live: LiveSource | null): string {
  if (depth < TOP_DEPTH) return show()["text/plain"];
  const host = notebookHost();
  return host ? showIn(host, show, live) : showInTslab(show, live);
}

function showIn(host: NotebookHost, show: () => MimeBundle, live: LiveSource | null): string {
  const bundle = show();
  if (Object.keys(bundle).length === 1) return bundle["text/plain"];
  if (!live) {
    host.display(bundle, { printed: true });
    return "";
  }
  const displayId = randomUUID();
  host.display(bundle, { displayId, printed: true });
  keepShowing(() => host.display(show(), { displayId, update: true }), live);
  return "";
}

function showInTslab(show: () => MimeBundle, live: LiveSource | null): string {
  const tslab = findTslab();
  const bundle = show();
  const type = RICH.find((form) => typeof bundle[form] === "string");
  if (!tslab || type === undefined) return bundle["text/plain"];
  const display = tslab.newDisplay();
  display.raw(type, String(bundle[type]));
  if (live) keepShowing(() => display.html(show()["text/html"] ?? ""), live);
  return "";
}

/** Of several forms tslab shows one: the first of these. */
const RICH = ["image/png", "image/jpeg", "image/svg+xml", "text/html", "text/markdown", "text/latex"];

/** `util.inspect` starts at depth 2; what is below the top is shown as text. */
const TOP_DEPTH = 2;

/** What it showed last stays, should the log become unreadable. */
function keepShowing(show: () => void, live: LiveSource): void {
  follow(show, live).catch(() => undefined);
}

async function follow(show: () => void, live: LiveSource): Promise<void> {
  for (;;) {
    const last = live.ended();
    show();
    if (last) return;
    await live.changed();
    // The last state is shown at once: a notebook that is run to its end does not wait for us.
    await Promise.race([live.settled, new Promise((resolve) => setTimeout(resolve, UPDATE_MS).unref())]);
  }
}

function findTslab(): Tslab | null {
  const host = (globalThis as { __tslab__?: { require?: unknown } }).__tslab__;
  if (typeof host?.require !== "function") return null;
  try {
    return (host.require as (name: string) => Tslab)("tslab");
  } catch {
    return null;
  }
}
