import { it } from "vitest";
import { startHosts } from "../hosts";
import { Runtime, RuntimeTask, workspace } from "../support";
it("x", async () => {
  const hosts = await startHosts();
  workspace(hosts.configFile);
  const host = hosts.hosts[0]!;
  const runtime = new Runtime("host-1");
  const esc = [
  "sleep 4001 &",
  "setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 4006' & disown -a",
  "setsid -f sleep 4007; sleep 4008"].join("\n");
  runtime.executeTask(new RuntimeTask().runCommand(esc)).catch(() => undefined);
  for (let i = 0; i < 6; i++) { await new Promise((r) => setTimeout(r, 300)); console.log((await host.processes()).map((p) => `${p.pid} ${p.ppid} ${p.args.slice(0, 80)}`).join("\n")); }
  await hosts.stop();
});
