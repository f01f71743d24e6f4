export * from "./limits";
export { Ext, decode, encode } from "./msgpack";
export type { Decoded, Encodable } from "./msgpack";
export { FrameDecoder, encodeFrameHead } from "./frame";
export type { Frame } from "./frame";
export { Header } from "./header";
