/** Decode bundles of recurrent sequence-to-sequence models, by onnxruntime-web in a browser or onnxruntime-node in Node. */

import { searchBeams } from "./beam.js";
import { BundleError, InputError } from "./errors.js";
import { fetchedFiles, zipFiles } from "./files.js";
import { Graphs } from "./graphs.js";
import { searchGreedily } from "./greedy.js";
import { readManifest } from "./manifest.js";
import { makePlan } from "./plan.js";
import { Vocabulary } from "./vocabulary.js";

export { BundleError, InputError, OptionError, S2SError } from "./errors.js";
export { zipFiles } from "./files.js";
export { Vocabulary } from "./vocabulary.js";

/** @typedef {import("./plan.js").DecodingOptions} DecodingOptions */

/**
 * @typedef {object} Hypothesis
 * @property {string | null} text The ids where the bundle has no target vocabulary; null where it has sentencepiece's.
 * @property {string[]} tokens The symbols, or ids where the bundle has no target vocabulary.
 * @property {number[]} ids The tokens, without the one that ended them.
 * @property {number | null} score Log-probability divided by the length; null for greedy search.
 * @property {number[][] | null} attention For each token a weight for each of `sourceIds`.
 */

/**
 * The best hypothesis, and all of them.
 *
 * @typedef {Hypothesis & {hypotheses: Hypothesis[], sourceIds: number[]}} Result
 */

/**
 * Load a bundle.
 *
 * @param {string | URL | Uint8Array | import("./files.js").BundleFiles} bundle The URL of a bundle's folder or of a zip
 *   file of one (its name ending with .zip), a zip file's bytes, or files such as `openBundle` gives in Node.
 * @param {import("./graphs.js").Engine} engine onnxruntime-web or onnxruntime-node, imported whole.
 * @param {object} [sessionOptions] Those of `InferenceSession.create`, such as executionProviders.
 * @returns {Promise<Model>}
 * @throws {BundleError} It can't be read, or isn't one that this module decodes.
 */
export async function load(bundle, engine, sessionOptions = {}) {
  let files;
  if (typeof bundle === "string" || bundle instanceof URL) files = await fetchedFiles(bundle);
  else files = bundle instanceof Uint8Array ? zipFiles(bundle) : bundle;
  return new Model(new Graphs(files, readManifest(await files.read("manifest.json")), engine, sessionOptions));
}

/** A bundle that is ready to decode. */
export class Model {
  /** @param {Graphs} graphs */
  constructor(graphs) {
    this.graphs = graphs;
    this.manifest = graphs.manifest;
    const { source, target } = this.manifest.vocabulary;
    this.sourceVocabulary = source && new Vocabulary(source);
    this.targetVocabulary = target && new Vocabulary(target);
  }

  /**
   * Decode texts, or rows of ids.
   *
   * @param {(string | number[])[]} inputs
   * @param {DecodingOptions} [options]
   * @returns {Promise<Result[]>} A result for each input.
   * @throws {InputError} An input can't be read; says which.
   * @throws {import("./errors.js").OptionError} An option has a wrong value.
   */
  async generate(inputs, options = {}) {
    const plan = makePlan(options, this.manifest);
    if (!Array.isArray(inputs)) throw new InputError(`inputs: expected a list of texts or of rows of ids, got ${typeof inputs}`);
    const sources = inputs.map((input, i) => this.sourceIds(input, i));
    /** @type {Result[]} */
    const results = Array(inputs.length);
    sources.forEach((ids, i) => {
      if (ids.length === 0) results[i] = this.result([{ ids: [], score: plan.beamSize === 1 ? null : 0 }], [], [plan.returnAttention ? [] : null]);
    });
    for (const batch of this.batches(sources, plan.maxBatchSize)) {
      const encoded = await this.graphs.encode(batch.map((i) => this.padded(sources[i], batch, sources)));
      const search = plan.beamSize === 1 ? searchGreedily : searchBeams;
      const found = await search(this.graphs, encoded, batch.length, plan);
      for (const [row, i] of batch.entries()) {
        const attention = plan.returnAttention ? await this.attention(sources[i], found[row], plan) : found[row].map(() => null);
        results[i] = this.result(found[row], sources[i], attention);
      }
    }
    return results;
  }

  /** Let go of the graphs' memory; the model can't be used afterwards. */
  async release() {
    await this.graphs.release();
  }

  /**
   * @param {string | number[]} input
   * @param {number} index
   */
  sourceIds(input, index) {
    const { source, padding } = this.manifest;
    /** @type {number[]} */
    let ids;
    if (typeof input === "string") {
      if (!this.sourceVocabulary) throw new InputError(`inputs[${index}]: this bundle has no source vocabulary; give ids`);
      try {
        ids = this.sourceVocabulary.encode(input);
      } catch (error) {
        throw error instanceof InputError ? new InputError(`inputs[${index}]: ${error.message}`) : error;
      }
    } else {
      ids = [...input];
      const lowest = source.kind === "one-hot" ? -1 : 0;
      const wrong = ids.find((id) => !Number.isInteger(id) || id < lowest || id >= source.size);
      if (wrong !== undefined) {
        throw new InputError(`inputs[${index}]: expected ids from ${lowest} to ${source.size - 1}, got ${wrong}`);
      }
    }
    if (padding.masked) {
      const real = ids.filter((id) => id !== padding.id).length;
      if (ids.slice(0, real).includes(/** @type {number} */ (padding.id))) {
        throw new InputError(`inputs[${index}]: the padding, id ${padding.id}, stands before a token; move it to the end, or leave it out`);
      }
      ids = ids.slice(0, real);
    }
    if (padding.length !== null && ids.length > padding.length) {
      throw new InputError(`inputs[${index}]: ${ids.length} symbols, but this bundle's model reads at most ${padding.length}`);
    }
    return ids;
  }

  /**
   * Cut sources into batches of their indices: only where padding changes nothing, or is of a fixed length, do sources of
   * different lengths go together.
   *
   * @param {number[][]} sources
   * @param {number} most
   */
  *batches(sources, most) {
    const { masked, length } = this.manifest.padding;
    const anyLength = masked || length !== null;
    const indices = [...sources.keys()].filter((i) => sources[i].length > 0).sort((i, j) => sources[j].length - sources[i].length);
    /** @type {number[]} */
    let batch = [];
    for (const i of indices) {
      if (batch.length === most || (batch.length > 0 && !anyLength && sources[batch[0]].length !== sources[i].length)) {
        yield batch;
        batch = [];
      }
      batch.push(i);
    }
    if (batch.length > 0) yield batch;
  }

  /**
   * @param {number[]} ids
   * @param {number[]} batch
   * @param {number[][]} sources
   */
  padded(ids, batch, sources) {
    const { length, side, id } = this.manifest.padding;
    const time = length ?? Math.max(...batch.map((i) => sources[i].length));
    const filler = Array(time - ids.length).fill(id ?? 0);
    return side === "right" ? [...ids, ...filler] : [...filler, ...ids];
  }

  /**
   * Return the attention weights of the hypotheses of a source: the decoder is led along the tokens of each, a step each.
   *
   * @param {number[]} source
   * @param {import("./plan.js").Ended[]} hypotheses
   * @param {import("./plan.js").Plan} plan
   */
  async attention(source, hypotheses, plan) {
    const { side } = this.manifest.padding;
    const encoded = await this.graphs.encode([this.padded(source, [0], [source])]);
    const attention = [];
    for (const { ids } of hypotheses) {
      let carried = encoded;
      const weights = [];
      for (let step = 0; step < ids.length; step += 1) {
        const run = await this.graphs.decode("decoder", carried, [step === 0 ? plan.startId : ids[step - 1]]);
        carried = run.carried;
        const row = Array.from(/** @type {Float32Array} */ (run.outputs.attention.data), Number);
        weights.push(side === "right" ? row.slice(0, source.length) : row.slice(row.length - source.length));
      }
      attention.push(weights);
    }
    return attention;
  }

  /**
   * @param {import("./plan.js").Ended[]} found
   * @param {number[]} sourceIds
   * @param {(number[][] | null)[]} attention
   * @returns {Result}
   */
  result(found, sourceIds, attention) {
    const vocabulary = this.targetVocabulary;
    const hypotheses = found.map(({ ids, score }, i) => ({
      text: vocabulary ? vocabulary.decode(ids) : ids.join(" "),
      tokens: ids.map((id) => (vocabulary ? vocabulary.symbols[id] : String(id))),
      ids,
      score,
      attention: attention[i],
    }));
    if (hypotheses.length === 0) throw new BundleError("the search found nothing: the graphs don't fit the manifest");
    return { ...hypotheses[0], hypotheses, sourceIds };
  }
}
