/**
 * Imports point one way (docs/architecture.md). Each row: a room, and the rooms that it may import from.
 * Files at the top of `core/src` are leaves that every library room may use: errors, environment, validation.
 */
const leaf = ["wire"];
const rooms = {
  wire: [],
  host: [...leaf, "engine/protocol"],
  network: [...leaf, "host", "engine/protocol"],
  "engine/protocol": [],
  engine: [...leaf, "network", "host", "engine/protocol"],
  display: [],
  python: [...leaf, "engine/protocol", "display"],
  task: [...leaf, "python", "engine/protocol", "display"],
  runtime: [...leaf, "task", "python", "engine/protocol", "display"],
  cluster: [...leaf, "runtime", "task", "python", "engine/protocol", "display"],
  hub: [...leaf, "cluster", "runtime", "task", "python", "engine", "engine/protocol", "display"],
  cli: [...leaf, "cluster", "runtime", "task", "python", "engine/protocol", "display"],
};
/** Rooms whose files know nothing of the library's classes, so may not use its errors either. */
const engineSide = ["wire", "host", "network", "engine", "engine/protocol"];

const others = (room) => Object.keys(rooms).filter((name) => name !== room);
const inRoom = (room) =>
  room === "engine" ? "^core/src/engine/(?!protocol/)" : `^core/src/${room}/`;

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `one-way-${room.replace("/", "-")}`,
      severity: "error",
      from: { path: inRoom(room) },
      to: { path: others(room).filter((name) => !allowed.includes(name)).map(inRoom) },
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
    { name: "core-without-jupyter", severity: "error", from: { path: "^core/" }, to: { path: "^extension/|@jupyterlab|tslab" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "core/tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["require", "node", "default"] },
  },
};
