export * from "./linux";
