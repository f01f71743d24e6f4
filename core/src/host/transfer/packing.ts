/** Deflating where the line is slow and the data is worth it. The agent's `files/sending.py` decides in the same way. */
import { promisify } from "util";
import { deflate, inflateSync } from "zlib";
import { CHUNK, INITIAL_CREDIT, MAX_PAYLOAD, WireError } from "../../wire";

const deflateAsync = promisify<Buffer, { level: number }, Buffer>(deflate);

/** [bytes/ms] below which packing is worth a try, and the share of its size that a piece must shrink to. */
const SLOW = 40e3;
const WORTH = 0.8;
/** Pieces until the next try, after one that was not worth it. */
const PATIENCE = 64;
/** [bytes] after which the speed is known. */
const SAMPLE = INITIAL_CREDIT + CHUNK;
/** [bytes] Smaller pieces are left as they are. */
const LEAST = 1024;

export class Packing {
  private start: number;
  private mark = 0;
  private slow = false;
  private wait = 0;

  /** @param clock [ms] that never goes back. */
  constructor(private readonly clock: () => number = () => performance.now()) {
    this.start = clock();
  }

  /** @param arrived what the host has taken so far. */
  measure(arrived: number): void {
    if (arrived - this.mark < SAMPLE) return;
    const now = this.clock();
    this.slow = arrived - this.mark < SLOW * (now - this.start);
    this.start = now;
    this.mark = arrived;
  }

  /** Null where it is not worth it. */
  async pack(data: Buffer): Promise<Buffer | null> {
    if (!this.slow || data.length < LEAST) return null;
    if (this.wait > 0) {
      this.wait -= 1;
      return null;
    }
    const packed = await deflateAsync(data, { level: 1 });
    if (packed.length <= WORTH * data.length) return packed;
    this.wait = PATIENCE;
    return null;
  }
}

/** Throws WireError for what is broken, or becomes more than a payload may be. */
export function unpack(payload: Buffer): Buffer {
  try {
    return inflateSync(payload, { maxOutputLength: MAX_PAYLOAD });
  } catch (error) {
    throw new WireError(`a piece that cannot be unpacked (${error instanceof Error ? error.message : String(error)})`);
  }
}
