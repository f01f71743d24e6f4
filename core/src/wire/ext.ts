/** The ext types of value documents (docs/agent-protocol.md). */
export const EXT = {
  integer: 1,
  buffer: 2,
  set: 3,
  map: 4,
  date: 5,
  array: 6,
  frame: 7,
  text: 8,
  handle: 9,
  reference: 10,
  function: 11,
  display: 12,
} as const;
