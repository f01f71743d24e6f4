/** Several hosts that failed, told as one error. */
import { expect, it } from "vitest";
import { PortInUseError } from "../../src/errors";
import { failureOfHosts } from "../../src/runtime/hosts-failure";

it("of several failures the first one names all, and keeps its class", () => {
  const one = new Error("host-1: away");
  expect(failureOfHosts([one], 3)).toBe(one);
  expect(one.message).toBe("host-1: away");
  const first = new PortInUseError(80, undefined, { host: "host-1" }, { message: "host-1: taken $&" });
  const all = failureOfHosts([first, one, "odd"], 4);
  expect(all).toBe(first);
  expect(all).toMatchObject({ port: 80, host: "host-1", code: "ERR_PORT_IN_USE" });
  expect(first.message).toBe("3 of 4 hosts failed:\n  host-1: taken $&\n  host-1: away\n  odd");
  expect(first.stack).toContain(first.message);
});
