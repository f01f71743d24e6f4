/** Who is at the other end of a connection that this machine's loopback brought. */
import { readFile } from "node:fs/promises";
import { endianness } from "node:os";
import { type AgentClient, type AgentLease, agentFailure } from "../host";

/** As messages name this machine. */
export const MANAGER = "localhost";

const LOOPBACK = endianness() === "LE" ? "0100007F" : "7F000001";
/** A program may use a socket of IPv6 for an address of IPv4. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const ROOT = 0;

/** Asks an agent on this machine, which can ask the kernel for one connection; without one, reads the kernel's whole table. */
export class Peers {
  /** False: this system has no such table, so nobody can be told apart. */
  static readonly possible = process.platform === "linux";
  private readonly table = new Table();
  private lease: Promise<AgentLease | null> | null = null;
  private agent: AgentClient | null = null;
  private users = 0;

  /** @param acquire gives an agent on this machine. */
  constructor(private readonly acquire: () => Promise<AgentLease>) {}

  /** For as long as there may be questions. Give it back by what it gives. */
  retain(): () => Promise<void> {
    if (this.users === 0) {
      const lease = this.acquire().catch(() => null);
      this.lease = lease;
      void lease.then((held) => {
        if (this.lease === lease) this.agent = held?.agent ?? null;
      });
    }
    this.users += 1;
    return async () => {
      this.users -= 1;
      if (this.users > 0) return;
      const { lease } = this;
      this.lease = this.agent = null;
      await (await lease)?.release();
    };
  }

  /**
   * Whether our user, or root, has the socket of port `theirs` that is connected to our port `ours`. Nobody has one that was closed
   * already. Rejects nothing.
   */
  async trusts(theirs: number, ours: number): Promise<boolean> {
    const { agent } = this;
    if (agent?.alive) {
      try {
        return (await agent.ask("peer", { theirs, ours }, (error) => agentFailure(MANAGER, error))).flag("trusted");
      } catch {
        // It has gone; the table is there.
      }
    }
    return this.table.trusts(theirs, ours);
  }
}

/** Looks up many at once: the kernel takes milliseconds for its table, however little is in it. */
class Table {
  private readonly trusted: readonly number[] = [process.getuid?.() ?? ROOT, ROOT];
  private reading: Promise<ReadonlyMap<string, number>> | null = null;
  private next: Promise<ReadonlyMap<string, number>> | null = null;

  async trusts(theirs: number, ours: number): Promise<boolean> {
    const owners = await this.newest();
    const uid = owners.get(`${hex(theirs)} ${hex(ours)}`);
    return uid !== undefined && this.trusted.includes(uid);
  }

  /** One that is being read may not have the newest connection: the next one has. */
  private newest(): Promise<ReadonlyMap<string, number>> {
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
