export * from "./limits";
export { Ext, decode, encode } from "./msgpack";
export type { Decoded, Encodable } from "./msgpack";
export { Frame, FrameDecoder, encodeFrameHead } from "./frame";
export { Header } from "./header";
