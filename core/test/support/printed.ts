import { vi } from "vitest";

/** What `work` prints with console.log, a line for each call. */
export async function printed(work: () => unknown): Promise<string> {
  const spy = vi.spyOn(console, "log").mockImplementation(() => undefined);
  try {
    await work();
    return spy.mock.calls.map((call) => `${call.map(String).join(" ")}\n`).join("");
  } finally {
    spy.mockRestore();
  }
}
