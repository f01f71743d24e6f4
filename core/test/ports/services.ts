/** A service and its clients, in Python: the same at the manager and on hosts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type Server, createServer } from "node:net";
import { createInterface } from "node:readline";
import type { TestHost } from "../hosts";
import { type RunResult, run } from "../hosts/run";
import { type RuntimeType, RuntimeTask, eventually } from "../support";

/**
 * Serves on a port of the loopback; what a connection's first byte asks for. `e`: an echo; `h`: the hash of all that came, after
 * its end; `f`: a flood; `s`: reads nothing any more; `r`: a break. It tells of floods how much went out, in a file.
 */
const SERVICE = `
import hashlib, os, socket, struct, sys, threading
def serve(c):
    try:
        mode = c.recv(1)
        if mode == b"e":
            while True:
                data = c.recv(65536)
                if not data: break
                c.sendall(data)
        elif mode == b"h":
            digest = hashlib.sha256()
            while True:
                data = c.recv(65536)
                if not data: break
                digest.update(data)
            c.sendall(digest.hexdigest().encode())
        elif mode == b"f":
            sent = 0
            while True:
                sent += c.send(b"z" * 65536)
                with open(sys.argv[2] + ".new", "w") as file: file.write(str(sent))
                os.rename(sys.argv[2] + ".new", sys.argv[2])
        elif mode == b"s":
            threading.Event().wait()
        elif mode == b"r":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError: pass
    c.close()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(4096)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
`;

const CLIENT = `
import encodings.idna, hashlib, os, socket, sys, threading, time
def connect(): return socket.create_connection(("127.0.0.1", int(sys.argv[2])), 20)
def short():
    with connect() as c:
        c.sendall(b"eshort")
        got = b""
        while len(got) < 5:
            data = c.recv(100)
            if not data: raise OSError("cut off")
            got += data
        assert got == b"short", got
def once_():
    short(); print("ok")
def half():
    data = os.urandom(1 << 20) * 8
    with connect() as c:
        c.sendall(b"h" + data); c.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            more = c.recv(100)
            if not more: break
            got += more
    print("ok" if got.decode() == hashlib.sha256(data).hexdigest() else "wrong: %r" % got)
def echo():
    data = os.urandom(1 << 20) * 8
    with connect() as c:
        def send(): c.sendall(b"e" + data); c.shutdown(socket.SHUT_WR)
        thread = threading.Thread(target=send); thread.start()
        got = bytearray()
        while True:
            more = c.recv(1 << 16)
            if not more: break
            got += more
        thread.join()
    print("ok" if bytes(got) == data else "wrong: %d bytes" % len(got))
def many():
    count, failed = int(sys.argv[3]), []
    def work():
        for _ in range(count // 20):
            try: short()
            except Exception as error: failed.append(repr(error))
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print("ok" if not failed else "%d failed: %s" % (len(failed), failed[0]))
def stuck():
    """Sends to who does not read, until nothing goes any more."""
    c = connect(); c.sendall(b"s"); c.settimeout(2); sent = 0
    try:
        while sent < 1 << 28: sent += c.send(b"z" * 65536)
    except socket.timeout: pass
    print(sent)
def hold():
    """Reads nothing of a flood, until it is told to; then a bit."""
    c = connect(); c.sendall(b"f"); print("holds", flush=True)
    sys.stdin.readline(); got = 0
    while got < 1 << 26: got += len(c.recv(1 << 20))
    print("read", flush=True)
def broken():
    """Stays until the connection breaks."""
    c = connect(); c.sendall(b"ex"); c.recv(1); print("holds", flush=True)
    c.settimeout(20)
    try: print("end" if c.recv(1) == b"" else "data")
    except ConnectionError: print("broken")
if len(sys.argv) > 4: os.setgid(65534); os.setuid(65534)
{"once": once_, "half": half, "echo": echo, "many": many, "stuck": stuck, "hold": hold, "broken": broken}[sys.argv[1]]()
`;

export type Mode = "once" | "half" | "echo" | "many" | "stuck";

/** Where programs run: on a host, or here. */
export interface Machine {
  run(mode: Mode, port: number, ...more: string[]): Promise<RunResult>;
  serve(port: number, file: string): Promise<Service>;
}

export interface Service {
  stop(): Promise<void>;
}

export const here: Machine = {
  run: (mode, port, ...more) => run("python3", ["-c", CLIENT, mode, String(port), ...more]),
  serve: async (port, file) => {
    const child = spawn("python3", ["-c", SERVICE, String(port), file], { stdio: ["ignore", "pipe", "inherit"] });
    await firstLine(child);
    return {
      stop: async () => {
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      },
    };
  },
};

/** @param runtime of the host, for the service. */
export function there(host: TestHost, runtime: RuntimeType): Machine {
  return {
    run: (mode, port, ...more) => host.exec(["python3", "-c", CLIENT, mode, String(port), ...more]),
    serve: async (port, file) => {
      const task = new RuntimeTask("service").runCommand(`exec python3 - ${String(port)} ${file}`, { stdin: SERVICE });
      const execution = runtime.executeTask(task);
      execution.catch(() => undefined);
      await eventually(() => (task.executionLog[0] ?? "").includes("ready"), 10_000, "the service");
      return { stop: () => execution.cancel() };
    },
  };
}

/** A client here that holds a connection. */
export async function holdHere(mode: "hold" | "broken", port: number): Promise<ChildProcess> {
  const child = spawn("python3", ["-c", CLIENT, mode, String(port)], { stdio: ["pipe", "pipe", "inherit"] });
  await firstLine(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
  return line;
}

/** A server here on a port of the kernel's choice. */
export async function listenHere(): Promise<{ port: number; server: Server }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as { port: number }).port, server };
}

/** Free at this moment, here. */
export async function anyPort(): Promise<number> {
  const { port, server } = await listenHere();
  server.close();
  await once(server, "close");
  return port;
}

/** Local addresses that listen on the port there, as the kernel's tables have them. */
export async function listeners(host: TestHost, port: number): Promise<string[]> {
  const { stdout } = await host.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return [...stdout.matchAll(/: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:0000 0A /g)]
    .filter(([, , found]) => found === hex)
    .map(([, address]) => address ?? "");
}
