/** Demo hosts cannot be had; the message says what is missing and what to do next. */
export class DemoError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DemoError";
  }
}
