/** A host that speaks the agent's protocol as a test wants it to: well, badly, or with intent. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import type * as Wire from "../../src/wire";
import type { HostConnection, ProcessExit, RemoteProcess } from "../../src/host/shared/transport";

const wire = createRequire(__filename)(join(__dirname, "..", "..", "dist", "wire", "index.js")) as typeof Wire;

export const MARKER = Buffer.from("\0\x01lazycluster-agent/1\x02\n", "latin1");
export const HELLO = {
  op: "hello",
  v: 1,
  pid: 7,
  python: "3.11.7",
  implementation: "cpython",
  executable: "/usr/bin/python3",
  home: "/root",
  user: "root",
  uid: 0,
  shell: "/bin/sh",
  hostname: "fake",
  system: "Linux",
  caps: [],
} as const;

/** With `op`; some are meant to be wrong. */
type Fields = Readonly<Record<string, unknown>>;

export class FakeAgent implements HostConnection {
  readonly transport = "ssh2";
  readonly keepaliveIntervalMs: number;
  readonly closed: Promise<null>;
  isClosed = false;
  /** Operations that it was asked for, by name. */
  readonly heard: string[] = [];
  private readonly stdout = new PassThrough();
  private exit: (exit: ProcessExit) => void = () => undefined;
  private end: () => void = () => undefined;

  constructor(
    readonly host: string,
    private readonly behaviour: {
      /** What it writes when it was started; default: marker and hello. */
      readonly start?: (agent: FakeAgent) => void;
      /** Each message but hello and ping. */
      readonly message?: (header: Wire.Header, agent: FakeAgent) => void;
      readonly keepaliveIntervalMs?: number;
    },
  ) {
    this.keepaliveIntervalMs = behaviour.keepaliveIntervalMs ?? 5000;
    this.closed = new Promise((resolve) => (this.end = () => resolve(null)));
  }

  exec(): Promise<RemoteProcess> {
    let bootstrap: Buffer | null = Buffer.alloc(0);
    const decoder = new wire.FrameDecoder();
    const stdin = new Writable({
      write: (piece: Buffer, _encoding, done) => {
        let bytes: Buffer = piece;
        if (bootstrap) {
          bootstrap = Buffer.concat([bootstrap, piece]);
          const second = bootstrap.indexOf(10, bootstrap.indexOf(10) + 1);
          const length = Number(bootstrap.subarray(bootstrap.indexOf(10) + 1, second).toString());
          // Behind the agent stands a line with its mode.
          const mode = second < 0 ? -1 : bootstrap.indexOf(10, second + 1 + length);
          if (mode < 0) {
            done();
            return;
          }
          bytes = bootstrap.subarray(mode + 1);
          bootstrap = null;
        }
        for (const { header } of decoder.push(bytes)) this.hear(header);
        done();
      },
    });
    const exited = new Promise<ProcessExit>((resolve) => (this.exit = resolve));
    return Promise.resolve({ stdin, stdout: this.stdout, stderr: new PassThrough(), exited, kill: () => this.leave() });
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.leave();
    this.end();
    return Promise.resolve();
  }

  /** A well-formed message. */
  send(fields: Fields, payload: Buffer = Buffer.alloc(0)): void {
    const header = fields as { readonly op: string; readonly [field: string]: Wire.Encodable };
    this.raw(Buffer.concat([wire.encodeFrameHead(header, payload.length), payload]));
  }

  /** The payload in as many pieces as it has bytes. */
  sendInBytes(fields: Fields, payload: Buffer): void {
    const header = fields as { readonly op: string; readonly [field: string]: Wire.Encodable };
    this.raw(wire.encodeFrameHead(header, payload.length));
    for (let at = 0; at < payload.length; at++) this.raw(payload.subarray(at, at + 1));
  }

  raw(bytes: Buffer): void {
    if (!this.stdout.writableEnded) this.stdout.write(bytes);
  }

  leave(): void {
    this.stdout.end();
    this.exit({ code: 0, signal: null });
  }

  private hear(header: Wire.Header): void {
    this.heard.push(header.op);
    if (header.op === "hello") {
      if (this.behaviour.start) this.behaviour.start(this);
      else {
        this.raw(MARKER);
        this.send(HELLO);
      }
    } else if (header.op === "ping") this.send({ op: "pong", t: header.integer("t") });
    else if (header.op === "bye") this.leave();
    else this.behaviour.message?.(header, this);
  }
}
