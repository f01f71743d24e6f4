/** [ms] that count. */
const WINDOW_MS = 3000;

/** How fast a transfer is, over the last seconds. */
export class TransferRate {
  private readonly marks: { readonly time: number; readonly bytes: number }[] = [];

  /** [bytes/s] @param time [ms] of a clock that never goes back. */
  at(time: number, bytes: number): number {
    this.marks.push({ time, bytes });
    while (this.marks.length > 2 && time - (this.marks[1]?.time ?? time) >= WINDOW_MS) this.marks.shift();
    const first = this.marks[0];
    if (!first || time <= first.time) return 0;
    return Math.max(0, ((bytes - first.bytes) / (time - first.time)) * 1000);
  }
}
