export { NoAnswer, cancelElsewhere } from "./control-client";
export { EngineClient, engineClient } from "./engine-client";
export type { ChangeListener, PromptCallback } from "./engine-client";
