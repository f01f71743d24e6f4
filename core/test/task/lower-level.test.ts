/** The reference's README: "Usage example lower-level API", from a script. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHosts, needsRoot, startHosts } from "../hosts";
import { type Workspace, expectCleanHost, startManager, workspace } from "../support";

const EXAMPLE = `
  const hello = py\`
  def hello(name: str):
      return 'Hello ' + name + '!'
  \`;
  let task = new RuntimeTask("my-first_task").runCommand("echo Hello World!").runFunction(hello, { name: "World" });
  task = await new Runtime("host-1").executeTask(task, { executeAsync: false });
  task.printLog();
  const generator = task.functionReturns;
  console.log((await generator.next()).value);
`;

describe("as root on the host", needsRoot(), () => as("root"));
describe("as an ordinary user on the host", () => as("ordinary"));

function as(user: "root" | "ordinary"): void {
  let hosts: TestHosts;
  let space: Workspace;

  beforeAll(async () => {
    hosts = await startHosts({ user });
    space = workspace(hosts.configFile);
  });
  afterAll(async () => {
    await hosts.stop();
    space.remove();
  });

  it("runs the reference's lower-level README example from a script, which ends by itself and leaves nothing", async () => {
    const script = startManager(EXAMPLE, { env: space.env });
    const { code, stdout, stderr } = await script.exited;
    expect(stderr).toBe("");
    expect(stdout).toBe('Task "my-first_task" on host-1:\n[0] Hello World!\n[1] \nHello World!\n');
    expect(code).toBe(0);
    await expectCleanHost(hosts.hosts[0]!, 2000);
  });
}
