/** Whether an object can be used where a call runs; what to say when not. */
import type { AgentClient } from "../host";
import { type CallSpec, EngineFailure, type HandleRef } from "./protocol";

/**
 * Pickled code works only with the Python minor version that made it. The host checks that before it loads anything;
 * this is asked first, so that nothing is carried in vain. Throws EngineFailure ERR_PYTHON_VERSION.
 */
export function checkVersion(object: HandleRef, call: CallSpec, agent: AgentClient): void {
  // Another interpreter than the agent's: only the host knows what that is.
  if (call.python !== null || call.session !== null) return;
  const { implementation, pythonVersion } = agent.info;
  const found = `${implementation} ${pythonVersion.split(".").slice(0, 2).join(".")}`;
  if (found === object.python) return;
  throw new EngineFailure({
    code: "ERR_PYTHON_VERSION",
    host: agent.host,
    found,
    needed: object.python,
    message:
      `${agent.host}: ${object.label} was made by ${object.python}, and Python there is ${found}: what cloudpickle makes of functions and objects ` +
      `only works with the same minor version. Name such an interpreter with the option \`python\`, or pass the function as source, which works everywhere.`,
  });
}

/** @param host where it was wanted. */
export function gone(object: HandleRef, host: string): EngineFailure {
  return new EngineFailure({
    code: "ERR_PYTHON",
    host,
    message: `${host}: ${object.label} is gone: it lived on ${object.host} until the connection to that ended. Make it again.`,
  });
}
