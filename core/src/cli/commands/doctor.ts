import { Runtime } from "../../runtime";
import { EXIT, printJson, printLine } from "../output";

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;

/** Looks at a host step by step and says what to do about what it finds. */
export async function doctor(host: string, options: { json?: boolean; python?: string }): Promise<number> {
  const runtime = new Runtime(host, options.python === undefined ? {} : { python: options.python });
  const findings = await runtime.diagnose();
  await runtime.close();
  if (options.json) printJson(findings);
  else {
    const width = Math.max(...findings.map(({ check }) => check.length));
    for (const { check, state, text, advice } of findings) {
      printLine(`${MARKS[state]} ${check.padEnd(width)}  ${text}`);
      if (advice !== null) printLine(`  ${"".padEnd(width)}  → ${advice}`);
    }
  }
  return findings.some(({ state }) => state === "failed") ? EXIT.hostUnusable : 0;
}
