/** What `npm test -- ui` has started for the tests (scripts/lib/suites.mjs), by environment variables. */

function setting(name: string): string {
  const value = process.env[`LAZYCLUSTER_UI_${name}`];
  if (value === undefined || value === "") throw new Error("These tests need servers and hosts: run npm test -- ui");
  return value;
}

/** The browser's program. */
export const chromium = setting("CHROMIUM");

/** Where notebooks are opened, with the token: a file's path goes behind the URL's. */
export const programs = { JupyterLab: setting("LAB"), "Notebook 7": setting("NOTEBOOK") };

/** The folder that both servers serve. */
export const root = setting("ROOT");

/** The folder for what pages looked like at the end of a test. */
export const screenshots = setting("SCREENSHOTS");
