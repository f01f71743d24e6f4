export * from "./limits";
export { Double, Ext, decode, encode } from "./msgpack";
export type { Decoded, Encodable } from "./msgpack";
export { Frame, FrameDecoder, encodeFrameHead } from "./frame";
export { EXT } from "./ext";
export { Header } from "./header";
export { DocumentCutter, documentLengths, unpackDocument } from "./document";
export type { CutDocument, PackedDocument } from "./document";
export { keptPaths } from "./kept-paths";
