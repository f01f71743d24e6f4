/** What stands for Python objects in a value that came from a host. A host sent it, so its form is checked. */
import { WireError } from "../wire";
import { type DisplayParts, PyDisplay } from "./display-object";
import { type HandleHome, PyHandle } from "./handle";
import { EXT, type RevivedExt } from "./values";

/** Where a value comes from. */
export interface Origin {
  readonly host: string;
  /** Its markup may be shown as such. */
  readonly trusted: boolean;
  /** The home of an object in a file there. */
  readonly kept: (path: Uint8Array, parts: DisplayParts, python: string) => HandleHome;
  /** Of a value of a kept process: the home of its object with this id. */
  readonly live?: (id: number, parts: DisplayParts, python: string) => HandleHome;
}

type Fields = Readonly<Record<string, unknown>>;

export function reviver(origin: Origin): (type: RevivedExt, content: unknown) => unknown {
  return (type, content) => {
    if (typeof content !== "object" || content === null) throw new WireError("an object without fields");
    const fields = content as Fields;
    const parts = readParts(fields, origin);
    switch (type) {
      case EXT.display:
        return new PyDisplay(parts);
      case EXT.handle: {
        const { path } = fields;
        if (!(path instanceof Uint8Array)) throw new WireError("a handle without a path");
        return PyHandle.of(parts, origin.kept(Uint8Array.from(path), parts, text(fields, "python")));
      }
      case EXT.reference: {
        const { id } = fields;
        if (!origin.live || !Number.isSafeInteger(id)) throw new WireError("a reference that nobody asked for");
        return PyHandle.of(parts, origin.live(id as number, parts, text(fields, "python")));
      }
    }
  };
}

function readParts(fields: Fields, { host, trusted }: Origin): DisplayParts {
  const forms = new Map<string, string | Uint8Array>();
  const mime: unknown = fields["mime"] ?? {};
  if (typeof mime !== "object" || mime === null) throw new WireError("forms that are no map");
  for (const [type, form] of Object.entries(mime)) {
    if (typeof form !== "string" && !(form instanceof Uint8Array)) throw new WireError("a form that is no content");
    forms.set(type, form);
  }
  return { repr: text(fields, "repr"), type: text(fields, "type"), host, forms, trusted };
}

/** Texts of a host go to terminals: control characters could do more there than be read. */
function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new WireError(`an object without ${name}`);
  return value.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}
