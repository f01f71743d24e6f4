/** What ssh asks, told apart by its words: it has no other way to say it. Pure. */
import { harmless } from "../shared/harmless";

/** Of its askpass program. */
export interface Question {
  readonly text: string;
  /** `none`: nothing is asked, something is told; `confirm`: yes or no. */
  readonly hint: string;
}

export type Meaning =
  /** A password, or a question of the host. `asker`: the `user@host` that wants it; null: not said. */
  | { readonly kind: "password" | "keyboard-interactive"; readonly asker: string | null; readonly text: string }
  | { readonly kind: "passphrase"; readonly text: string }
  /** Whether an unknown host is to be trusted. */
  | { readonly kind: "host-key"; readonly text: string }
  /** Such as the touch of a hardware key. */
  | { readonly kind: "notice"; readonly text: string }
  | { readonly kind: "confirm"; readonly text: string };

export function understand(question: Question): Meaning {
  const text = harmless(question.text);
  if (question.hint === "none") return { kind: "notice", text };
  if (/\(yes\/no/.test(text)) return { kind: "host-key", text };
  if (question.hint === "confirm") return { kind: "confirm", text };
  // From the host itself: ssh marks it, so that it cannot pass for one of ssh's own.
  const marked = /^\(([^()\s]+@[^()\s]+)\) ([^]*)$/.exec(text);
  if (marked) return { kind: "keyboard-interactive", asker: marked[1] ?? null, text: marked[2] ?? "" };
  if (/^Enter passphrase for |^Enter PIN for /.test(text)) return { kind: "passphrase", text };
  const password = /^(\S+@\S+)'s password: $/.exec(text);
  if (password) return { kind: "password", asker: password[1] ?? null, text };
  return { kind: "keyboard-interactive", asker: null, text };
}

/**
 * What the host said before it asks, which ssh prints instead of passing it on.
 * @param stderr of ssh at LogLevel DEBUG1
 */
export function instructionsOf(stderr: string): string {
  const lines = harmless(stderr.replaceAll("\r", "")).split("\n");
  const from = lines.lastIndexOf("debug1: Next authentication method: keyboard-interactive");
  const said = from < 0 ? [] : lines.slice(from + 1).filter((line) => line !== "" && !/^debug\d: /.test(line));
  return said.join("\n");
}
