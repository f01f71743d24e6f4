/** Files are opened as what they were seen to be: somebody else may have put a link or a pipe in their place. */
import { closeSync, constants, fstatSync, openSync } from "fs";
import { type FileHandle, open } from "fs/promises";

type Path = Buffer | string;

/** A pipe without a writer does not make us wait. */
const HERE = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const READ = constants.O_RDONLY | HERE;
const FILL = constants.O_RDWR | HERE;

/** For reading. Rejects what the file system says, and Error for what is no file. */
export function openFile(path: Path): Promise<FileHandle> {
  return openAs(path, READ);
}

/** The same, for writing into what is there. */
export function openToFill(path: Path): Promise<FileHandle> {
  return openAs(path, FILL);
}

/** The same, for reading. Throws. */
export function openFileSync(path: Path): number {
  const file = openSync(path, READ);
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw noFile(path);
}

async function openAs(path: Path, flags: number): Promise<FileHandle> {
  const file = await open(path, flags);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw noFile(path);
}

function noFile(path: Path): Error {
  return new Error(`${path.toString("utf8")} is no file any more`);
}
