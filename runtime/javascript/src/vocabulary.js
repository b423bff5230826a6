/** Texts to ids and back, as a side of the manifest's `vocabulary` says. */

import { InputError } from "./errors.js";

/**
 * @typedef {object} VocabularySide
 * @property {"char" | "word" | "symbol" | "phone" | "sentencepiece"} unit
 * @property {string[]} symbols
 * @property {string | null} padding
 * @property {string | null} unknown
 * @property {string | null} start
 * @property {string | null} end
 * @property {"NFC" | "NFKC" | "NFD" | "NFKD" | null} normalization
 * @property {boolean} lowercase
 * @property {boolean} reverse
 * @property {string} [removed]
 * @property {string} [separators]
 * @property {boolean} [skip_unknown]
 * @property {number} [word_rule]
 */

// White space as the bundle means it: Unicode's, and the four separators of ASCII; no byte order mark.
const SPACE = "\\p{White_Space}\\u001c-\\u001f";
const LETTER = "\\p{L}\\p{N}_";
const SPACES = new RegExp(`[${SPACE}]+`, "u");

const WORD_1 = new RegExp(`[${LETTER}]+(?:['\\u2019-][${LETTER}]+)*|[^${LETTER}${SPACE}]`, "gu");

const JOINERS = "'\\u2019\\u02bc\\-\\u2010\\u2011\\u00b7\\u05be\\u05f3\\u05f4\\u055b\\u055c\\u055e\\u0f0b";
const ON_LETTERS = `[${LETTER}\\p{M}\\u00ad\\u200c\\u200d]*`;
const MARKED = `[^${LETTER}${SPACE}]\\p{M}*`;
const WORD_2 = new RegExp(
  `[${LETTER}]${ON_LETTERS}(?:(?:[${JOINERS}]|(?<=\\p{Nd})[.,:/\\u066b\\u066c](?=\\p{Nd}))[${LETTER}]${ON_LETTERS})*` +
    `|${MARKED}(?:\\u200d${MARKED})*`,
  "gu",
);

const NO_SPACE_BEFORE = new Set(".,;:!?%)]}…»”");
const NO_SPACE_AFTER = new Set("([{«“¿¡");
const CLOSING = new Set(".,;:!?%‰…’،؛؟٪۔।॥།༎།።፣፤፥፦፧։՝՞՜׃၊။៖។៕·");
const QUOTES = new Set('"„“”');
// Punctuation of scripts that write no spaces: wide, as Unicode's EastAsianWidth.txt has it.
const WIDE = /^[\u2329\u232a\u3001-\u303d\u30a0\u30fb\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\u{16fe2}]$/u;
const PUNCTUATION = /^\p{P}$/u;
const CLOSES = /^[\p{Pe}\p{Pf}]$/u;
const OPENS = /^[\p{Ps}\p{Pi}¿¡]$/u;
const MODIFIER = /^\p{Lm}$/u;

/** One side of a vocabulary. */
export class Vocabulary {
  /**
   * @param {VocabularySide} side As it stands in the manifest.
   */
  constructor(side) {
    this.side = side;
    this.symbols = side.symbols;
    /** @type {Map<string, number>} */
    this.ids = new Map(side.symbols.map((symbol, id) => [symbol, id]));
    const named = [side.start, side.end].filter((symbol) => symbol !== null);
    this.frame = new Set(named.map((symbol) => this.ids.get(/** @type {string} */ (symbol))));
  }

  /**
   * Cut a text into symbols, known or not, in the order of the text.
   *
   * @param {string} text
   * @returns {string[]}
   */
  cut(text) {
    const { unit, normalization, separators = "", removed = "", lowercase, word_rule: rule = 1 } = this.side;
    if (unit === "sentencepiece") {
      throw new InputError("this bundle cuts texts by a sentencepiece model, which this module doesn't read; give ids");
    }
    let read = lowercase ? text.toLowerCase() : text;
    if (normalization) read = read.normalize(normalization);
    if (separators || removed) read = replaced(read, separators, removed);
    if (unit === "char") return Array.from(read);
    if (unit === "word") return read.match(rule === 1 ? WORD_1 : WORD_2) ?? [];
    if (unit === "symbol" && separators) return read.split(firstOf(separators)).filter((symbol) => symbol !== "");
    const symbols = read.split(SPACES).filter((symbol) => symbol !== "");
    return unit === "phone" ? symbols.flatMap(cutPhone) : symbols;
  }

  /**
   * Return the ids that the encoder reads for a text; none for a text without symbols, which isn't read.
   *
   * @param {string} text
   * @returns {number[]}
   */
  encode(text) {
    const { unknown, skip_unknown: skip = false, reverse, start, end } = this.side;
    const ids = [];
    for (const symbol of this.cut(text)) {
      const id = this.ids.get(symbol) ?? (unknown === null ? undefined : this.ids.get(unknown));
      if (id !== undefined) ids.push(id);
      else if (!skip) throw new InputError(`${JSON.stringify(symbol)} in ${JSON.stringify(text)} is not in the source vocabulary`);
    }
    if (ids.length === 0) return [];
    if (reverse) ids.reverse();
    return [...this.idsOf(start), ...ids, ...this.idsOf(end)];
  }

  /**
   * Return the text of ids: start, end, and padding at either end left out. Null for pieces of sentencepiece.
   *
   * @param {number[]} ids
   * @returns {string | null}
   */
  decode(ids) {
    const { padding, reverse, unit } = this.side;
    if (unit === "sentencepiece") return null;
    const bare = ids.filter((id) => !this.frame.has(id));
    if (reverse) bare.reverse();
    const filler = padding === null ? undefined : this.ids.get(padding);
    let start = 0;
    let stop = bare.length;
    while (start < stop && bare[start] === filler) start += 1;
    while (stop > start && bare[stop - 1] === filler) stop -= 1;
    return this.join(bare.slice(start, stop).map((id) => this.symbols[id]));
  }

  /**
   * Join symbols to a text, as the unit says.
   *
   * @param {string[]} symbols
   * @returns {string}
   */
  join(symbols) {
    const { unit, word_rule: rule = 1 } = this.side;
    if (unit === "char") return symbols.join("");
    if (unit === "symbol") return symbols.join(" ");
    if (unit === "phone") return joinPhones(symbols);
    return joinWords(symbols, rule);
  }

  /** @param {string | null} symbol */
  idsOf(symbol) {
    return symbol === null ? [] : [/** @type {number} */ (this.ids.get(symbol))];
  }
}

/** @param {string} text */
function firstOf(text) {
  return Array.from(text)[0];
}

/**
 * @param {string} text
 * @param {string} separators
 * @param {string} removed
 */
function replaced(text, separators, removed) {
  const gone = new Set(removed);
  const cuts = new Set(separators);
  const cut = firstOf(separators);
  let read = "";
  for (const character of text) if (!gone.has(character)) read += cuts.has(character) ? cut : character;
  return read;
}

/** @param {string} phone */
function cutPhone(phone) {
  const characters = Array.from(phone);
  let base = characters.length;
  while (base > 1 && MODIFIER.test(characters[base - 1])) base -= 1;
  return [characters.slice(0, base).join(""), ...characters.slice(base)];
}

/** @param {string[]} symbols */
function joinPhones(symbols) {
  /** @type {string[]} */
  const phones = [];
  for (const symbol of symbols) {
    if (phones.length > 0 && MODIFIER.test(symbol)) phones[phones.length - 1] += symbol;
    else phones.push(symbol);
  }
  return phones.join(" ");
}

/**
 * @param {string[]} symbols
 * @param {number} rule
 */
function joinWords(symbols, rule) {
  let text = "";
  let isOpen = false; // a quotation mark of the kinds that may close another
  let lastGlues = true;
  for (const symbol of symbols) {
    let [before, after] = rule === 1 ? [NO_SPACE_BEFORE.has(symbol), NO_SPACE_AFTER.has(symbol)] : glue(symbol);
    if (rule === 2 && (symbol === '"' || (symbol === "“" && isOpen))) [before, after] = [isOpen, !isOpen];
    if (QUOTES.has(symbol)) isOpen = symbol === "„" || (symbol === '"' && !isOpen);
    text += before || lastGlues ? symbol : ` ${symbol}`;
    lastGlues = after;
  }
  return text;
}

/**
 * Say whether a symbol stands without a space before it, and whether what follows it does.
 *
 * @param {string} symbol
 * @returns {[boolean, boolean]}
 */
function glue(symbol) {
  if (PUNCTUATION.test(symbol) && WIDE.test(symbol)) return [true, true];
  return [CLOSES.test(symbol) || CLOSING.has(symbol), OPENS.test(symbol)];
}
