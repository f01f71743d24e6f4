/** What neither end may exceed (docs/agent-protocol.md); the agent has the same numbers. */

/** [bytes] of a frame's header. */
export const MAX_HEADER = 1024 * 1024;
/** [bytes] of a frame's payload. */
export const MAX_PAYLOAD = 1024 * 1024;
/** Containers inside containers, of a header or a value. */
export const MAX_DEPTH = 64;
/** [bytes] of a value document's tree; buffers are not counted. */
export const MAX_TREE = 16 * 1024 * 1024;
/** Buffers of a value document, and ext values in its tree: each takes many times its bytes in memory. */
export const MAX_SPECIALS = 1024 * 1024;
/** [bytes] that a login may print before the agent speaks. */
export const MAX_NOISE = 64 * 1024;
/** Credit of each operation and direction at its start, in cost units. */
export const INITIAL_CREDIT = 1024 * 1024;
/** Every `data` and `entry` frame costs this and its payload's bytes, so that a flood of tiny frames is bounded too. */
export const FRAME_COST = 64;
/** [bytes] of one `data` frame's payload, as we send it. */
export const CHUNK = 256 * 1024;

/**
 * Entries of one tree from a host, and [bytes] of all their paths and targets of links: bounds on what it can make us remember.
 * An entry takes some 300 bytes and up to three times its path, so at most some 1.3 GB.
 */
export const MAX_ENTRIES = 2_000_000;
export const MAX_PATHS = 256 * 1024 * 1024;
/** [bytes] of a path in a tree, of a target of a link, and of a name: what the system takes. */
export const MAX_TREE_PATH = 4096;
export const MAX_NAME = 255;
/** [bytes] of a path in a value document. */
export const MAX_PATH = 2 ** 16 - 1;

/** The other end broke the protocol; the connection cannot go on. */
export class WireError extends Error {
  override readonly name = "WireError";
}
