/** The graphs of a bundle, opened when first needed, and how their tensors are named. */

import { BundleError } from "./errors.js";
import { checkFile } from "./manifest.js";

/**
 * @typedef {import("onnxruntime-common").Tensor} Tensor
 * @typedef {typeof import("onnxruntime-common")} Engine What onnxruntime-web and onnxruntime-node both are.
 * @typedef {Record<string, Tensor>} Tensors
 */

/**
 * What a search carries from run to run: states and memory by the names of the graphs' inputs.
 *
 * @typedef {object} Carried
 * @property {Tensors} states
 * @property {Tensors} memory
 */

/** The graphs of one bundle. */
export class Graphs {
  /**
   * @param {import("./files.js").BundleFiles} files
   * @param {import("./manifest.js").Manifest} manifest
   * @param {Engine} engine
   * @param {object} options Those of `InferenceSession.create`.
   */
  constructor(files, manifest, engine, options) {
    this.files = files;
    this.manifest = manifest;
    this.engine = engine;
    this.options = options;
    /** @type {Map<string, Promise<import("onnxruntime-common").InferenceSession>>} */
    this.sessions = new Map();
    /** @type {Promise<Uint8Array> | null} */
    this.weights = null;
  }

  /** @param {string} name */
  has(name) {
    return name in this.manifest.graphs;
  }

  /**
   * Run a graph on tensors by the names of its inputs.
   *
   * @param {string} name
   * @param {Tensors} fed
   * @returns {Promise<Tensors>}
   */
  async run(name, fed) {
    let session = this.sessions.get(name);
    if (session === undefined) {
      session = this.open(name);
      this.sessions.set(name, session);
      session.catch(() => this.sessions.delete(name)); // the next call tries again
    }
    return /** @type {Tensors} */ (await (await session).run(fed));
  }

  /** @param {string} name */
  async open(name) {
    const graph = this.manifest.graphs[name];
    if (graph === undefined) throw new BundleError(`this bundle has no graph ${name}; export the model again`);
    const shared = this.manifest.weights;
    const externalData = [];
    if (shared) {
      this.weights ??= this.read(shared);
      externalData.push({ path: shared.file, data: await this.weights });
    }
    const bytes = await this.read(graph);
    return this.engine.InferenceSession.create(bytes, { ...this.options, ...(shared ? { externalData } : {}) });
  }

  /** @param {import("./manifest.js").GraphFile} graph */
  async read(graph) {
    const bytes = await this.files.read(graph.file);
    await checkFile(bytes, graph);
    return bytes;
  }

  /**
   * Run the encoder on rows of ids of one length.
   *
   * @param {number[][]} rows
   * @returns {Promise<Carried>}
   */
  async encode(rows) {
    const source = this.integers(rows.flat(), [rows.length, rows[0].length]);
    const outputs = await this.run("encoder", { source });
    const pick = (/** @type {{name: string}[]} */ specs) => Object.fromEntries(specs.map(({ name }) => [name, outputs[name]]));
    return { states: pick(this.manifest.states), memory: pick(this.manifest.memory) };
  }

  /**
   * Take rows of states and memory.
   *
   * @param {Carried} carried
   * @param {number[]} rows
   * @returns {Promise<Carried>}
   */
  async select({ states, memory }, rows) {
    const index = this.integers(rows, [rows.length]);
    const selected = renamed(await this.run("select_state", { rows: index, ...states }));
    if (this.manifest.memory.length === 0) return { states: selected, memory };
    return { states: selected, memory: renamed(await this.run("select_memory", { rows: index, ...memory })) };
  }

  /**
   * Run one of the graphs that decode, and return its outputs and what the next run carries.
   *
   * @param {"decoder" | "greedy" | "beam"} name
   * @param {Carried} carried
   * @param {number[]} tokens The last of each row.
   * @param {Tensors} more
   * @returns {Promise<{outputs: Tensors, carried: Carried}>}
   */
  async decode(name, carried, tokens, more = {}) {
    /** @type {Tensors} */
    const fed = { ...carried.states, ...carried.memory, ...more };
    if (this.manifest.target.feedback === "token") fed.token = this.integers(tokens, [tokens.length]);
    const outputs = await this.run(name, fed);
    const states = Object.fromEntries(this.manifest.states.map((state) => [state.name, outputs[`next_${state.name}`]]));
    return { outputs, carried: { states, memory: carried.memory } };
  }

  /**
   * @param {number[]} values
   * @param {number[]} shape
   */
  integers(values, shape) {
    return new this.engine.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }

  /**
   * @param {ArrayLike<number>} values
   * @param {number[]} shape
   */
  floats(values, shape) {
    return new this.engine.Tensor("float32", Float32Array.from(values), shape);
  }

  /** Let go of the graphs' memory; the model can't be used afterwards. */
  async release() {
    const open = await Promise.allSettled(this.sessions.values());
    this.sessions.clear();
    for (const session of open) if (session.status === "fulfilled") await session.value.release();
  }
}

/** @param {Tensors} outputs */
function renamed(outputs) {
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name.replace(/^next_/, ""), tensor]));
}
