/** Plain text for people: tables, times, sizes. Pure. */

/** Lines of left-aligned columns. */
export function columns(table: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of table) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return table.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${String(Math.floor(seconds / 60))} min ${String(seconds % 60)} s`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** One harmless line: control characters visible, at most `limit` characters. */
export function oneLine(text: string, limit = 80): string {
  const visible = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === "\n") return "⏎";
    if (character === "\t") return " ";
    return "�";
  });
  return visible.length > limit ? `${visible.slice(0, limit - 1)}…` : visible;
}

/** The last line that says something, as one harmless line. */
export function lastLine(text: string, limit = 80): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return oneLine(lines.at(-1) ?? "", limit);
}
