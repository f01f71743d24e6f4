import { cancelled } from "../shared/connection-errors";

/** [ms] that small work on local files may take before others get their turn. */
const SLICE_MS = 4;

/**
 * Small files are read and written by synchronous calls, which take a tenth of the time of asynchronous ones. So that the
 * engine's thread serves everybody meanwhile, long rows of them are cut into slices.
 */
export class Slices {
  private start = performance.now();

  constructor(
    private readonly host: string,
    private readonly signal: AbortSignal,
  ) {}

  get over(): boolean {
    return performance.now() - this.start >= SLICE_MS;
  }

  /** Rejects EngineFailure when the signal is aborted. */
  async pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.signal.aborted) throw cancelled(this.host);
    this.start = performance.now();
  }
}
