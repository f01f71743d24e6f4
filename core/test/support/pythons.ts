/** Interpreters for tests of functions. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** One with NumPy, pandas, matplotlib and scikit-learn, which hosts of this machine see too. */
export const SCIENCE =
  process.env["LAZYCLUSTER_TEST_PYTHON"] ?? join(__dirname, "..", "..", "..", ".venv", "bin", "python");

if (!existsSync(SCIENCE)) throw new Error(`the tests need ${SCIENCE}: npm run build makes it`);
