/** How far something is that takes its time. */
export interface Progress {
  readonly bytes: number;
  readonly totalBytes: number | null;
  readonly files: number;
  readonly totalFiles: number | null;
}
