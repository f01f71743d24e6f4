/** What the tests of transfers share: a host, a runtime on it, a local folder, and what a tree looks like. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type TestHost, type TestHosts, startHosts } from "../hosts";
import { Runtime, type RuntimeType, type Workspace, expectCleanHost, leftovers, workspace } from "../support";

export interface Site {
  readonly hosts: TestHosts;
  readonly host: TestHost;
  readonly space: Workspace;
  readonly runtime: RuntimeType;
  /** The working directory, as the host and as this machine see it. */
  readonly there: string;
  readonly seen: string;
  readonly local: string;
}

/** Registers hooks. Each test has a runtime and folders of its own, and must leave nothing hidden in them. */
export function useSite(): Site {
  const site: { -readonly [K in keyof Site]?: Site[K] } = {};
  beforeAll(async () => {
    site.hosts = await startHosts();
    site.host = site.hosts.hosts[0]!;
    site.space = workspace(site.hosts.configFile);
  });
  beforeEach(async () => {
    site.local = site.space!.path("local");
    mkdirSync(site.local);
    site.runtime = new Runtime("host-1");
    site.there = await site.runtime.workingDir;
    site.seen = join(site.host!.dir, site.there);
  });
  afterEach(async () => {
    const left = [...leftovers(site.seen!), ...leftovers(site.local!)];
    await site.runtime!.close();
    expect(left).toEqual([]);
    await expectCleanHost(site.host!, 2000);
  });
  afterAll(async () => {
    await site.hosts!.stop();
    site.space!.remove();
  });
  return site as Site;
}

export interface Shape {
  readonly kind: "file" | "dir" | "link";
  readonly mode?: number;
  /** [µs], which is what Node can set. */
  readonly mtime?: bigint;
  readonly content?: string;
}

/** Everything of a folder that must survive, by relative path. Names may be any bytes. */
export function shapeOf(root: string): Record<string, Shape> {
  const shape: Record<string, Shape> = {};
  const visit = (path: Buffer, name: string): void => {
    const stats = lstatSync(path, { bigint: true });
    const mode = Number(stats.mode & 0o7777n);
    const mtime = (stats.mtimeNs - (((stats.mtimeNs % 1000n) + 1000n) % 1000n)) / 1000n;
    if (stats.isSymbolicLink()) shape[name] = { kind: "link", content: readlinkSync(path) };
    else if (stats.isFile()) {
      const content = createHash("sha1").update(readFileSync(path)).digest("hex");
      shape[name] = { kind: "file", mode, mtime, content };
    } else {
      shape[name] = { kind: "dir", mode, mtime };
      for (const child of readdirSync(path, { encoding: "buffer" })) {
        visit(Buffer.concat([path, Buffer.from("/"), child]), `${name}/${child.toString("latin1")}`);
      }
    }
  };
  visit(Buffer.from(root), ".");
  return shape;
}
