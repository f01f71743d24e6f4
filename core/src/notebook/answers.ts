/** What clients ask beside executions, and the content of each answer. */
import type { CellRunner } from "./cell-runner";
import { completeness } from "./completeness";
import type { TslabParts } from "./executor-parts";
import type { History } from "./history";
import { Inspector } from "./inspector";
import { kernelInfo } from "./kernel-info";
import type { Magics } from "./magics";
import { isCellMagic } from "./source/magics";
import { type Content, type Request, numberOf, textOf } from "./message";

/** The content of the answer to a request. */
type Answer = (content: Content) => Content | Promise<Content>;

export class Answers {
  private readonly byType: Readonly<Record<string, Answer>>;

  constructor(
    private readonly runner: CellRunner,
    private readonly tslab: TslabParts,
    magics: Magics,
    history: History,
  ) {
    const inspector = new Inspector(runner, magics, tslab);
    this.byType = {
      kernel_info_request: () => kernelInfo(tslab.typescript.version),
      complete_request: (asked) => inspector.complete(textOf(asked, "code"), numberOf(asked, "cursor_pos")),
      inspect_request: (asked) => inspector.inspect(textOf(asked, "code"), numberOf(asked, "cursor_pos")),
      is_complete_request: (asked) => this.isComplete(textOf(asked, "code")),
      history_request: (asked) => history.find(asked),
      comm_info_request: () => ({ status: "ok", comms: {} }),
    };
  }

  /** Of `…_request`, for its `…_reply`; null for a request that is none of these. */
  async to({ header, content }: Request): Promise<Content | null> {
    const answer = Object.hasOwn(this.byType, header.msg_type) ? this.byType[header.msg_type] : undefined;
    return answer ? await answer(content) : null;
  }

  private isComplete(code: string): Content {
    // A cell of another language ends where the user ends it: with an empty line.
    if (isCellMagic(code)) return /\n\s*$/.test(code) ? { status: "complete" } : { status: "incomplete", indent: "" };
    return completeness(this.tslab.typescript, this.runner.compiler.readable(code));
  }
}
