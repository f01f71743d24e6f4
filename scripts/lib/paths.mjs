/** Where things are in the project. Only the scripts know these places; nothing else may depend on them. */
import path from "node:path";
import { fileURLToPath } from "node:url";

export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** @param {...string} names */
export const inProject = (...names) => path.join(projectRoot, ...names);

export const venvDirectory = inProject(".venv");
export const venvPython = path.join(venvDirectory, "bin", "python");

/** What Jupyter would write to the user's own directories goes here, so that `npm start` leaves no trace outside the project. */
export const jupyterState = path.join(venvDirectory, "var", "jupyter");

export const demoDirectory = inProject(".demo");
export const firstNotebook = "notebooks/01-first-task.ipynb";
