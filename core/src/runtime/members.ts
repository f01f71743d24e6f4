/** The hosts of a group, by name, in order. */
import { InvalidArgumentError } from "../errors";
import { requireOptions, show } from "../validate";
import { RUNTIME_KEYS, type RuntimeOptions } from "./host-options";
import { requireNames } from "./filter";
import { Runtime } from "./runtime";

/** What a group is made of: runtimes that are there, or hosts with the options for all of them. */
export type GroupMembers = { runtimes: Runtime[] } | ({ hosts: string[] } & RuntimeOptions);

export class Members {
  readonly #byHost = new Map<string, Runtime>();

  /** Throws InvalidArgumentError: none, both kinds, or one twice. */
  constructor(given: readonly unknown[]) {
    for (const runtime of readMembers(given)) this.add(runtime);
    if (this.#byHost.size === 0)
      throw new InvalidArgumentError('A group needs hosts, such as new RuntimeGroup("host-1", "host-2").');
  }

  get hosts(): string[] {
    return [...this.#byHost.keys()];
  }

  get runtimes(): Runtime[] {
    return [...this.#byHost.values()];
  }

  has(host: string): boolean {
    return this.#byHost.has(host);
  }

  /** Throws InvalidArgumentError when the host is there already. */
  add(member: unknown): void {
    if (!(member instanceof Runtime) && typeof member !== "string")
      throw new InvalidArgumentError(`A group takes Runtimes or names of hosts, not ${show(member)}.`);
    const runtime = member instanceof Runtime ? member : new Runtime(member);
    if (this.has(runtime.host))
      throw new InvalidArgumentError(`${runtime.host} is in the group already: a group has a host once.`);
    this.#byHost.set(runtime.host, runtime);
  }

  /** False when it was not there. */
  remove(host: string): boolean {
    return this.#byHost.delete(host);
  }

  /** Throws InvalidArgumentError when it is not there. */
  get(host: unknown, what: string): Runtime {
    const runtime = typeof host === "string" ? this.#byHost.get(host) : undefined;
    if (!runtime)
      throw new InvalidArgumentError(`${what}: ${show(host)} is not in the group; it has ${this.hosts.join(", ")}.`);
    return runtime;
  }

  /** Either list, not both. Throws InvalidArgumentError. */
  select(include: unknown, exclude: unknown, what: string): Map<string, Runtime> {
    if (include !== undefined && exclude !== undefined)
      throw new InvalidArgumentError(`${what} takes hosts to include or hosts to exclude, not both.`);
    const named = new Set(requireNames(include ?? exclude, `${what}: a host`));
    for (const host of named) this.get(host, what);
    const wanted = (host: string): boolean => include === undefined || named.has(host);
    const unwanted = (host: string): boolean => exclude !== undefined && named.has(host);
    return new Map([...this.#byHost].filter(([host]) => wanted(host) && !unwanted(host)));
  }
}

function readMembers(given: readonly unknown[]): readonly unknown[] {
  const [first] = given;
  if (Array.isArray(first) && given.length === 1) return first as unknown[];
  if (typeof first !== "object" || first === null || first instanceof Runtime) return given;
  const options = requireOptions(first, ["runtimes", "hosts", ...RUNTIME_KEYS], "RuntimeGroup");
  const { runtimes, hosts, ...rest } = options;
  if (given.length > 1 || (runtimes === undefined) === (hosts === undefined))
    throw new InvalidArgumentError("RuntimeGroup takes { runtimes } or { hosts }, either, never both or none.");
  if (runtimes !== undefined && Object.keys(rest).length > 0)
    throw new InvalidArgumentError("RuntimeGroup: options go with { hosts }; runtimes have theirs already.");
  const list = runtimes ?? hosts;
  if (!Array.isArray(list))
    throw new InvalidArgumentError(`RuntimeGroup: runtimes and hosts are lists, not ${show(list)}.`);
  if (runtimes !== undefined) return list;
  return list.map((host: unknown) => new Runtime(host as string, rest));
}
