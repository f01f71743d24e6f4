/** Who is at the other end of a connection that this machine's loopback brought. */
import { readFile } from "node:fs/promises";
import { endianness } from "node:os";

const LOOPBACK = endianness() === "LE" ? "0100007F" : "7F000001";
/** A program may use a socket of IPv6 for an address of IPv4. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const ROOT = 0;

/** Looks up many at once: the kernel takes milliseconds for its table, however little is in it. */
export class Peers {
  private readonly trusted: readonly number[] = [process.getuid?.() ?? ROOT, ROOT];
  private reading: Promise<ReadonlyMap<string, number>> | null = null;
  private next: Promise<ReadonlyMap<string, number>> | null = null;

  /** False: this system has no such table, so nobody can be told apart. */
  static readonly possible = process.platform === "linux";

  /**
   * Whether our user, or root, has the socket of port `theirs` that is connected to our port `ours`. Nobody has one that was closed
   * already.
   */
  async trusts(theirs: number, ours: number): Promise<boolean> {
    const owners = await this.table();
    const uid = owners.get(`${hex(theirs)} ${hex(ours)}`);
    return uid !== undefined && this.trusted.includes(uid);
  }

  /** One that is being read may not have the newest connection: the next one has. */
  private table(): Promise<ReadonlyMap<string, number>> {
    if (!this.reading) return this.read();
    this.next ??= this.reading.then(() => {
      this.next = null;
      return this.read();
    });
    return this.next;
  }

  private read(): Promise<ReadonlyMap<string, number>> {
    const reading = readOwners().finally(() => {
      if (this.reading === reading) this.reading = null;
    });
    this.reading = reading;
    return reading;
  }
}

async function readOwners(): Promise<ReadonlyMap<string, number>> {
  const owners = new Map<string, number>();
  const texts = await Promise.all(TABLES.map((file) => readFile(file, "latin1").catch(() => "")));
  for (const line of texts.join("\n").split("\n")) {
    const [, local = "", remote = "", , , , , uid = "", , inode = "0"] = line.trim().split(/ +/);
    if (inode === "0" || !isLoopback(local) || !isLoopback(remote)) continue;
    owners.set(`${local.slice(-4)} ${remote.slice(-4)}`, Number(uid));
  }
  return owners;
}

function isLoopback(address: string): boolean {
  return address.endsWith(LOOPBACK, address.length - 5);
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
