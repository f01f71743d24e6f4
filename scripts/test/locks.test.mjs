/** Whether the pinned packages can be had for every Python that is promised. Nothing is installed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IndexUnreachable, locks, promisedPythons, readPins, resolveLock } from "../lib/locks.mjs";

// Where one lock builds on another, both are tried together.
for (const lock of locks.filter(({ name }) => locks.every(({ base }) => base !== name))) {
  const pins = new Set([...readPins(lock.name), ...(lock.base === undefined ? [] : readPins(lock.base))]);
  for (const python of promisedPythons) {
    test(`${[lock.base, lock.name].filter(Boolean).join(" and ")} hold for Python ${python}, and pin all that comes along`, async (context) => {
      let resolved;
      try {
        resolved = await resolveLock(lock, python);
      } catch (error) {
        if (error instanceof IndexUnreachable) {
          context.skip("the Python package index is not reached");
          return;
        }
        throw error;
      }
      assert.notEqual(resolved.length, 0);
      assert.deepEqual(
        resolved.filter((pin) => !pins.has(pin)),
        [],
      );
    });
  }
}
