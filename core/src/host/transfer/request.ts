/** What a transfer is asked for. */
import { EngineFailure } from "../../engine/protocol";
import type { Progress } from "../shared/progress";
import type { OpenLane } from "./lanes";

export interface TransferRequest {
  readonly cwd: string;
  readonly progress: (progress: Progress) => void;
  readonly signal: AbortSignal;
  /** Read every file again at its target, and compare its hash. */
  readonly verify?: boolean;
  /** Keep pieces of big files when the transfer is interrupted, and use those that were kept: the secret that names them. */
  readonly resume?: Buffer | null;
  /** How further connections are opened; left out: they are not. */
  readonly openLane?: OpenLane | null;
}

/** What came is right as far as it came, so a later transfer may go on there. A full disk is no interruption. */
export function isInterruption(error: unknown): boolean {
  return error instanceof EngineFailure && ["ERR_CONNECTION", "ERR_CANCELLED"].includes(error.data.code);
}

/** Counts what passes, and tells. */
export class Counter {
  private bytes = 0;
  private files = 0;

  constructor(
    private readonly report: (progress: Progress) => void,
    private readonly totalBytes: number | null,
    private readonly totalFiles: number | null,
  ) {}

  passed = (bytes: number): void => {
    this.bytes += bytes;
    this.tell();
  };

  file(): void {
    this.files += 1;
    this.tell();
  }

  private tell(): void {
    const { bytes, files, totalBytes, totalFiles } = this;
    this.report({ bytes, totalBytes, files, totalFiles });
  }
}
