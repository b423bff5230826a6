/** What this module throws where something given is at fault: one line that says what, what was expected, what to do. */
export class S2SError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** A bundle that can't be read, is damaged, or is of a kind that this module doesn't decode. */
export class BundleError extends S2SError {}

/** A source that can't be read. */
export class InputError extends S2SError {}

/** An option with a wrong value. */
export class OptionError extends S2SError {}
