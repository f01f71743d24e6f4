export * from "./limits";
export { Double, Ext, decode, encode } from "./msgpack";
export type { Decoded, Encodable } from "./msgpack";
export { Frame, FrameDecoder, encodeFrameHead } from "./frame";
export { EXT } from "./ext";
export { Header } from "./header";
export { DocumentCutter, documentLengths } from "./document";
export type { CutDocument } from "./document";
export { keptPaths } from "./kept-paths";
