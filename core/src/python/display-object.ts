import { inspect } from "util";
import { type Displayable, type MimeBundle, jupyterDisplay, objectBundle, showLive } from "../display";

/** What a Python object that is only to be looked at has to say. */
export interface DisplayParts {
  readonly repr: string;
  readonly type: string;
  readonly host: string;
  readonly forms: ReadonlyMap<string, string | Uint8Array>;
  readonly trusted: boolean;
}

/**
 * A Python object that came back to be looked at: a matplotlib figure, or anything else with an image form. It shows itself in
 * a notebook. HTML of a host is shown as text unless the Runtime was made with `trusted: true`.
 *
 * @example
 * ```ts
 * const [plot] = await task.returns();
 * plot; // the last expression of a cell is shown
 * ```
 */
export class PyDisplay implements Displayable {
  /** Python's own description. */
  readonly repr: string;
  /** Qualified type name, such as `matplotlib.figure.Figure`. */
  readonly type: string;
  /** Where it was made. */
  readonly host: string;
  /** Its forms by MIME type, such as `image/png`: texts, and bytes of images. */
  readonly forms: ReadonlyMap<string, string | Uint8Array>;
  readonly #trusted: boolean;

  /** @internal They come from calls. */
  constructor(parts: DisplayParts) {
    this.repr = parts.repr;
    this.type = parts.type;
    this.host = parts.host;
    this.forms = parts.forms;
    this.#trusted = parts.trusted;
  }

  [jupyterDisplay](): MimeBundle {
    return objectBundle({ repr: this.repr, host: this.host, forms: this.forms, trusted: this.#trusted });
  }

  [inspect.custom](depth: number): string {
    return showLive(depth, () => this[jupyterDisplay](), null);
  }
}
