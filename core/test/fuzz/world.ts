/** Where a fuzz plays: hosts, folders, a service on each host, and what of ours is left there. */
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostProcess, type TestHost, type TestHosts, canIsolate, startHosts } from "../hosts";
import { isSshd, listProcesses } from "../hosts/processes";
import { type Workspace, eventually, workspace } from "../support";
import type { Place } from "./plan";
import { FUNCTIONS } from "./steps";

const MARK = "LAZYCLUSTER_FUZZ";
const SERVICE_NAME = "fuzz-service";
/** Gives back what it gets. It chooses its port, and says it. */
const SERVICE = `
import socket, sys, threading
def serve(c):
    try:
        while True:
            data = c.recv(65536)
            if not data: break
            c.sendall(data)
    except OSError: pass
    c.close()
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(100)
open(sys.argv[2] + ".new", "w").write(str(s.getsockname()[1]))
import os
os.rename(sys.argv[2] + ".new", sys.argv[2])
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
`;

export class World {
  /** [port] of a service on each place that gives back what it gets. */
  readonly services = new Map<Place, number>();
  readonly sources: string;
  readonly functions: string;
  js = false;
  private readonly mark = `${MARK}=${String(process.pid)}-${String(Date.now())}`;

  static async open(): Promise<World> {
    // Loopback hosts share this machine's /tmp; so they get another one.
    const tmp = canIsolate() ? null : mkdtempSync(join(tmpdir(), "fuzz-tmp-"));
    const hosts = await startHosts({ count: 2, ...(tmp === null ? {} : { env: { TMPDIR: tmp } }) });
    const world = new World(hosts, workspace(hosts.configFile), tmp);
    await world.serveHere();
    for (const host of hosts.hosts) await world.serveOn(host);
    const { stdout } = await hosts.hosts[0]!.exec(["sh", "-c", "node --version"]);
    world.js = /^v(1[89]|[2-9]\d)/.test(stdout);
    process.env[MARK] = world.mark.slice(MARK.length + 1);
    return world;
  }

  private server: Server | null = null;

  private constructor(
    readonly hosts: TestHosts,
    readonly space: Workspace,
    private readonly sharedTmp: string | null,
  ) {
    this.sources = join(space.dir, "sources");
    mkdirSync(this.sources);
    this.functions = join(space.dir, "functions.py");
    writeFileSync(this.functions, FUNCTIONS);
  }

  async close(): Promise<void> {
    Reflect.deleteProperty(process.env, MARK);
    this.server?.close();
    await this.hosts.stop();
    this.space.remove();
    if (this.sharedTmp !== null) rmSync(this.sharedTmp, { recursive: true, force: true });
  }

  /** Null: this machine. */
  host(place: Place): TestHost | null {
    return this.hosts.hosts.find(({ alias }) => alias === place) ?? null;
  }

  /** A folder of that place that nobody removes: as steps there call it, and as this process sees it. */
  folder(place: Place, name: string): { readonly there: string; readonly here: string } {
    const host = this.host(place);
    const there = host && canIsolate() ? `/tmp/fuzz-${name}` : join(this.space.dir, `fuzz-${place}-${name}`);
    const here = host && canIsolate() ? join(host.dir, there) : there;
    mkdirSync(here, { recursive: true });
    return { there, here };
  }

  /** What runs there and is ours: agents, steps, and on this machine also what leads to the hosts. */
  async processes(place: Place): Promise<HostProcess[]> {
    const host = this.host(place);
    const all = host ? await host.processes() : listProcesses((proc) => this.isMarked(proc));
    return all.filter(({ args, outerPid }) => !args.includes(SERVICE_NAME) && outerPid !== process.pid);
  }

  /** Those of sshd that serve one connection. */
  async connections(place: Place): Promise<HostProcess[]> {
    const host = this.host(place);
    if (!host) return [];
    if (canIsolate()) return (await host.sshdProcesses()).filter(({ outerPid }) => outerPid !== host.sshdPid);
    const all = listProcesses(() => true).filter(isSshd);
    const below = (pid: number): HostProcess[] =>
      all.filter(({ ppid }) => ppid === pid).flatMap((found) => [found, ...below(found.pid)]);
    return below(host.sshdPid);
  }

  /** Temporary folders of ours at that place, and detached tasks. */
  temporary(place: Place): string[] {
    const host = this.host(place);
    if (host && canIsolate()) return ours(join(host.dir, "tmp"));
    const tmp = host && this.sharedTmp !== null ? this.sharedTmp : this.space.env["TMPDIR"]!;
    return ours(tmp);
  }

  /** Whether a detached task of this id has its folder there. */
  hasDetached(place: Place, id: string): boolean {
    const host = this.host(place);
    const tmp = host && canIsolate() ? join(host.dir, "tmp") : "/tmp";
    return readdirSync(tmp)
      .filter((name) => /^lazycluster-\d+$/.test(name))
      .some((name) => existsSync(join(tmp, name, `task-${id}`)));
  }

  /** Whether something listens on the port there. */
  async listens(place: Place, port: number): Promise<boolean> {
    const files = ["/proc/net/tcp", "/proc/net/tcp6"];
    const host = this.host(place);
    const tables = host
      ? (await host.exec(["cat", ...files])).stdout
      : files.map((file) => readFileSync(file, "latin1")).join("");
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    return new RegExp(`: [0-9A-F]+:${hex} [0-9A-F]+:0000 0A `).test(tables);
  }

  private isMarked(proc: string): boolean {
    return readFileSync(`${proc}/environ`, "utf8").split("\0").includes(this.mark);
  }

  private async serveOn(host: TestHost): Promise<void> {
    if (!canIsolate()) {
      // A host on the loopback has the ports of this machine.
      this.services.set(host.alias as Place, this.services.get("localhost")!);
      return;
    }
    const { there, here } = this.folder(host.alias as Place, "service");
    // It ends with the host.
    void host.exec(["python3", "-c", SERVICE, SERVICE_NAME, join(there, "port")]);
    const port = await eventually(() => Number(readFileSync(join(here, "port"), "utf8")), 20_000, "the service");
    this.services.set(host.alias as Place, port);
  }

  private async serveHere(): Promise<void> {
    this.server = createServer((socket) => socket.on("error", () => undefined).pipe(socket)).listen(0, "127.0.0.1");
    this.server.unref();
    await once(this.server, "listening");
    this.services.set("localhost", (this.server.address() as AddressInfo).port);
  }
}

/** The folders of all detached tasks and of all control sockets of a user stay; what is in the first does not. */
function ours(tmp: string): string[] {
  return readdirSync(tmp)
    .filter((name) => name.startsWith("lazycluster-") && !name.startsWith("lazycluster-control-"))
    .flatMap((name) => (/^lazycluster-\d+$/.test(name) ? readdirSync(join(tmp, name)) : [name]));
}
