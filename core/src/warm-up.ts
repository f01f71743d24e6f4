/**
 * Imported first by the package: the engine's thread comes up while the rest is still being loaded, so that the first
 * connection does not wait for it. It keeps no process alive, and does nothing before it is asked.
 */
import { notebookHost } from "./display/host";
import { engineClient } from "./engine/client/engine-client";

engineClient().prepare();
notebookHost()?.libraryLoaded();
