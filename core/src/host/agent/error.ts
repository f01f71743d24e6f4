import { EngineFailure, type ErrorCode } from "../../engine/protocol";
import type { Header } from "../../wire";
import { harmless } from "../shared/harmless";

const NEXT: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space there, or choose another folder.",
  EDQUOT: "The quota there is used up: free some space, or choose another folder.",
  EROFS: "The file system there is read-only: choose another folder.",
  EACCES: "The account may not do that there: choose another folder, or change its permissions.",
  EPERM: "The account may not do that there: choose another folder, or change its permissions.",
  ENOENT: "Check the path.",
  ENOTDIR: "A part of the path is no folder: check the path.",
  ENAMETOOLONG: "Shorten the name.",
};

/** An agent's `error` message as a failure. */
export function agentFailure(host: string, error: Header, fallback: ErrorCode = "ERR_OTHER"): EngineFailure {
  const kind = error.text("kind");
  const errno = error.optionalText("errno");
  const path = error.optionalText("path");
  const next = errno === null ? "" : (NEXT[errno] ?? "");
  const message = sentence(harmless(error.text("message")));
  const code = codeOf(kind, fallback);
  const [found, needed] = [error.optionalText("found"), error.optionalText("needed")];
  const traceback = error.optionalMap("raised")?.get("traceback");
  return new EngineFailure({
    code,
    host,
    // The agent may have said the same.
    message: `${host}: ${message}${next === "" || message.includes(next) ? "" : ` ${next}`}`,
    ...(errno === null ? {} : { errno }),
    ...(path === null ? {} : { path }),
    ...(found === null ? {} : { found: harmless(found) }),
    ...(needed === null ? {} : { needed: harmless(needed) }),
    ...(kind === "session" ? { sessionLost: true } : {}),
    ...(typeof traceback === "string" && traceback !== "" ? { remoteTraceback: harmless(traceback) } : {}),
  });
}

function codeOf(kind: string, fallback: ErrorCode): ErrorCode {
  switch (kind) {
    case "cwd":
    case "path":
      return "ERR_PATH_CREATION";
    case "function":
    case "handle":
    case "module":
    case "python":
    case "session":
      return "ERR_PYTHON";
    case "version":
      return "ERR_PYTHON_VERSION";
    case "cancelled":
      return "ERR_CANCELLED";
    default:
      return fallback;
  }
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
