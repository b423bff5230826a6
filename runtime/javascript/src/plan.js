/** Options made ready for a bundle: ids resolved, everything checked. */

import { OptionError } from "./errors.js";

/**
 * @typedef {object} DecodingOptions
 * @property {number} [beamSize] Sequences kept for each sentence; 1 = greedy search. Default 1.
 * @property {number} [numHypotheses] Hypotheses returned for each sentence, at most `beamSize`. Default 1.
 * @property {number} [maxLength] Most tokens of a target; default the manifest's `target.max_length`.
 * @property {number} [lengthPenalty] Scores are log-probabilities divided by the length to this power. Default 1.
 * @property {boolean} [returnAttention] Whether hypotheses bring their attention weights. Default false.
 * @property {number} [maxBatchSize] Most sentences decoded together. Default 32.
 */

/**
 * @typedef {object} Plan
 * @property {number} beamSize
 * @property {number} numHypotheses
 * @property {number} maxLength
 * @property {number} lengthPenalty
 * @property {boolean} returnAttention
 * @property {number} maxBatchSize
 * @property {number} size
 * @property {number} startId
 * @property {boolean[]} ends Whether each token ends a sequence.
 * @property {number[]} never Added to the logits: -Infinity at tokens that are never written, 0 elsewhere.
 */

/**
 * A sequence that has ended: its tokens without the one that ended it.
 *
 * @typedef {object} Ended
 * @property {number[]} ids
 * @property {number | null} score
 */

const NAMES = ["beamSize", "numHypotheses", "maxLength", "lengthPenalty", "returnAttention", "maxBatchSize"];

/**
 * @param {DecodingOptions} options
 * @param {import("./manifest.js").Manifest} manifest
 * @returns {Plan}
 */
export function makePlan(options, manifest) {
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new OptionError(`${unknown}: no such option; expected ${NAMES.join(", ")}`);
  const { target } = manifest;
  const beamSize = counted("beamSize", options.beamSize ?? 1);
  const numHypotheses = counted("numHypotheses", options.numHypotheses ?? 1);
  if (numHypotheses > beamSize) {
    throw new OptionError(`numHypotheses: expected at most beamSize (${beamSize}), got ${numHypotheses}`);
  }
  const longest = options.maxLength ?? target.max_length;
  if (longest === null) throw new OptionError("maxLength: this bundle doesn't say how long targets get; give it");
  const maxLength = counted("maxLength", longest);
  if (target.most !== undefined && maxLength > target.most) {
    throw new OptionError(`maxLength: expected at most ${target.most}, the steps this bundle's decoder can take, got ${maxLength}`);
  }
  const lengthPenalty = options.lengthPenalty ?? 1;
  if (!(typeof lengthPenalty === "number" && lengthPenalty >= 0 && Number.isFinite(lengthPenalty))) {
    throw new OptionError(`lengthPenalty: expected a number that isn't negative, got ${lengthPenalty}`);
  }
  const returnAttention = options.returnAttention ?? false;
  if (returnAttention && !manifest.attention) {
    throw new OptionError("returnAttention: needs attention, which this bundle's model doesn't have");
  }
  const ends = Array(target.size).fill(false);
  for (const id of target.end_ids) ends[id] = true;
  const never = Array(target.size).fill(0);
  for (const id of [target.start_id, target.padding_id, target.unknown_id]) {
    if (id !== null && !ends[id]) never[id] = -Infinity;
  }
  const startId = target.start_id ?? 0;
  const maxBatchSize = counted("maxBatchSize", options.maxBatchSize ?? 32);
  const { size } = target;
  return { beamSize, numHypotheses, maxLength, lengthPenalty, returnAttention, maxBatchSize, size, startId, ends, never };
}

/**
 * @param {string} name
 * @param {number} value
 */
function counted(name, value) {
  if (!Number.isInteger(value) || value < 1) throw new OptionError(`${name}: expected an integer of at least 1, got ${value}`);
  return value;
}
