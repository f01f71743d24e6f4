/**
 * Imports point one way (docs/architecture.md). Each row: a room, and the rooms that it may import from.
 * Files at the top of `core/src` are leaves that every library room may use: errors, environment, validation.
 */
const protocol = ["engine/protocol"];
/** What the library half may use of the engine: its messages, the thread's port, the files that it writes. */
const engineForClients = [...protocol, "engine/client", "engine/journal"];
const below = { python: ["wire", "display", ...engineForClients] };
below.task = [...below.python, "python"];
below.runtime = [...below.task, "task"];
below.cluster = [...below.runtime, "runtime"];
const rooms = {
  wire: [],
  system: [],
  "engine/protocol": [],
  "engine/journal": ["system", ...protocol],
  "engine/client": ["wire", ...protocol, "engine/journal"],
  host: ["wire", "system", ...protocol],
  network: ["wire", "system", "host", ...protocol],
  engine: ["wire", "system", "network", "host", ...protocol, "engine/journal"],
  display: [],
  "js-worker": ["wire", "python", "display"],
  ...below,
  hub: [...below.cluster, "cluster", "engine"],
  notebook: ["display"],
  cli: [...below.cluster, "cluster", "notebook", "system"],
};
/** The rooms within `host/`, from the ground up. What lies in `host/` itself may use them all, and none of them uses it. */
const hostRooms = {
  shared: [],
  agent: ["shared"],
  ssh: ["shared"],
  ports: ["shared", "agent"],
  ssh2: ["shared", "ssh", "ports"],
  openssh: ["shared", "ssh"],
  local: ["shared"],
  transfer: ["shared", "agent"],
};
/** Rooms that know nothing of the library's classes, so may not use its errors and settings either. */
const engineSide = [
  "wire",
  "system",
  "host",
  "network",
  "engine",
  "engine/protocol",
  "engine/journal",
  "engine/client",
];

const others = (room) => Object.keys(rooms).filter((name) => name !== room);
const inRoom = (room) => (room === "engine" ? "^core/src/engine/(?!(protocol|client|journal)/)" : `^core/src/${room}/`);

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `one-way-${room.replace("/", "-")}`,
      severity: "error",
      from: { path: inRoom(room) },
      to: {
        path: others(room)
          .filter((name) => !allowed.includes(name))
          .map(inRoom),
      },
    })),
    ...Object.entries(hostRooms).map(([room, allowed]) => ({
      name: `one-way-host-${room}`,
      severity: "error",
      from: { path: `^core/src/host/${room}/` },
      to: { path: "^core/src/host/", pathNot: [room, ...allowed].map((name) => `^core/src/host/${name}/`) },
    })),
    ...engineSide.map((room) => ({
      name: `engine-side-${room.replace("/", "-")}`,
      severity: "error",
      from: { path: inRoom(room) },
      to: { path: "^core/src/[^/]+\\.ts$" },
    })),
    {
      name: "msgpack-in-one-file",
      severity: "error",
      from: { pathNot: "^core/src/wire/msgpack\\.ts$" },
      to: { path: "msgpack-lite" },
    },
    {
      name: "core-without-jupyter",
      severity: "error",
      from: { path: "^core/" },
      to: { path: "^extension/|@jupyterlab|tslab" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["require", "node", "default"] },
  },
};
