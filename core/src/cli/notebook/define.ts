/** `%%lazycluster define`: Python functions and classes of the bridge, as names of the notebook. */
import { bridge } from "../../python";
import { CommandFailure, EXIT, printJson, printLine } from "../output";

/** Each name becomes a variable: later cells hand it to `runFunction`, `bridge.call` and others. */
export async function define(source: string): Promise<void> {
  if (source.trim() === "") {
    throw new CommandFailure("There is nothing to define: write Python functions or classes below.", EXIT.usage);
  }
  const names = await bridge.define(source);
  printLine(`Defined in Python: ${Object.keys(names).join(", ") || "nothing"}`);
  printJson(names);
}
