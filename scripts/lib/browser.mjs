import { spawn } from "node:child_process";
import { findExecutable } from "./processes.mjs";

/**
 * Opens the URL where there is a display; it has been printed anyway.
 * @param {string} url
 */
export function openBrowser(url) {
  const hasDisplay = Boolean(process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"]);
  const opener = findExecutable("xdg-open");
  if (!hasDisplay || opener === undefined) return;
  // The browser is the user's and outlives us.
  const child = spawn(opener, [url], { detached: true, stdio: "ignore" });
  child.on("error", () => undefined);
  child.unref();
}
