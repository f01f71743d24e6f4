import { readFileSync } from "fs";
import { join } from "path";
import { type Content, PROTOCOL_VERSION } from "./message";

export const LANGUAGE = "typescript";

/** The content of a kernel_info_reply. */
export function kernelInfo(typescriptVersion: string): Content {
  const version = ownVersion();
  return {
    status: "ok",
    protocol_version: PROTOCOL_VERSION,
    implementation: "lazycluster",
    implementation_version: version,
    language_info: {
      name: LANGUAGE,
      version: typescriptVersion,
      mimetype: "text/typescript",
      file_extension: ".ts",
      // What JupyterLab and Notebook know TypeScript's colours by.
      codemirror_mode: { mode: "typescript", name: "javascript", typescript: true },
      pygments_lexer: "typescript",
      nbconvert_exporter: "script",
    },
    banner: `TypeScript ${typescriptVersion} with lazycluster ${version}; %lazycluster --help lists the commands`,
    help_links: [
      { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" },
      { text: "Node.js", url: "https://nodejs.org/api/" },
    ],
    debugger: false,
    supported_features: [],
  };
}

function ownVersion(): string {
  const text = readFileSync(join(__dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
