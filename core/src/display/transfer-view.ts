/** How far a transfer came, for people. Pure. */
import { formatBytes, formatDuration } from "./text";

export interface TransferView {
  /** [bytes] */
  readonly bytes: number;
  /** [bytes] Null while unknown. */
  readonly totalBytes: number | null;
  readonly bytesPerSecond: number;
}

/** From 0 to 1; null: not known. */
export function shareOf(transfer: TransferView | null): number | null {
  if (!transfer || transfer.totalBytes === null) return null;
  return transfer.totalBytes === 0 ? 1 : Math.max(0, Math.min(1, transfer.bytes / transfer.totalBytes));
}

/** Such as `12.0 MB of 40.0 MB, 8.0 MB/s, 4 s left`; how fast only while it runs; empty: nothing to say. */
export function transferText(transfer: TransferView | null, running: boolean): string {
  if (!transfer) return "";
  const { bytes, totalBytes, bytesPerSecond } = transfer;
  const parts = [`${formatBytes(bytes)}${totalBytes === null ? "" : ` of ${formatBytes(totalBytes)}`}`];
  if (running && bytesPerSecond > 0) {
    parts.push(`${formatBytes(bytesPerSecond)}/s`);
    const left = totalBytes === null ? 0 : (totalBytes - bytes) / bytesPerSecond;
    if (left >= 1) parts.push(`${formatDuration(left * 1000)} left`);
  }
  return parts.join(", ");
}
