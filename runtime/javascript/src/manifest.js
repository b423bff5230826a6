/** A bundle's manifest, read and checked for what this module decodes. */

import { BundleError } from "./errors.js";

/**
 * @typedef {object} GraphFile
 * @property {string} file
 * @property {string} sha256
 * @property {number} bytes
 */

/**
 * @typedef {object} TensorSpec
 * @property {string} name
 * @property {string} dtype
 * @property {(number | null)[]} shape
 */

/**
 * @typedef {object} Manifest
 * @property {string} format
 * @property {number} version
 * @property {Record<string, GraphFile>} graphs
 * @property {GraphFile | null} [weights]
 * @property {{kind: "ids" | "one-hot" | "values" | "vector", size: number, others?: unknown[]}} source
 * @property {{feedback: "token" | "probabilities" | "value" | "none", size: number, start_id: number | null,
 *   end_ids: number[], padding_id: number | null, unknown_id: number | null, max_length: number | null,
 *   most?: number}} target
 * @property {TensorSpec[]} states
 * @property {TensorSpec[]} memory
 * @property {boolean} attention
 * @property {{masked: boolean, id: number | null, side: "right" | "left", length: number | null}} padding
 * @property {{source: import("./vocabulary.js").VocabularySide | null,
 *   target: import("./vocabulary.js").VocabularySide | null}} vocabulary
 */

const FORMAT = "s2s-bundle";
const VERSION = 1;

/**
 * Read a manifest.
 *
 * @param {Uint8Array} bytes Of `manifest.json`.
 * @returns {Manifest}
 */
export function readManifest(bytes) {
  let data;
  try {
    data = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BundleError(`manifest.json: expected JSON in UTF-8 (${error instanceof Error ? error.message : error})`);
  }
  if (data?.format !== FORMAT || data.version !== VERSION) {
    throw new BundleError(`manifest.json: expected ${FORMAT} version ${VERSION}, got ${data?.format} ${data?.version}`);
  }
  if (data.target.feedback === "value") {
    throw new BundleError("this bundle writes values (target.feedback); this module decodes bundles that write tokens");
  }
  if (data.vocabulary?.source?.factors) {
    throw new BundleError("this bundle's texts have factors beside their words; this module decodes bundles without them");
  }
  if (!["ids", "one-hot"].includes(data.source.kind) || (data.source.others ?? []).length > 0) {
    throw new BundleError("this bundle reads values, or several sources; this module decodes bundles that read one of ids");
  }
  if (data.graphs.model) {
    throw new BundleError(
      `this bundle is one graph (kind ${data.kind}); this module decodes those of an encoder and a decoder`,
    );
  }
  return data;
}

/**
 * Compare a file with its digest in the manifest, where the platform can.
 *
 * @param {Uint8Array} bytes
 * @param {GraphFile} graph
 */
export async function checkFile(bytes, graph) {
  const subtle = globalThis.crypto?.subtle; // pages that came by plain HTTP have none
  if (bytes.length !== graph.bytes) {
    throw new BundleError(`${graph.file}: expected ${graph.bytes} bytes, got ${bytes.length}; copy the bundle again`);
  }
  if (subtle === undefined) return;
  const digest = new Uint8Array(await subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (bytes)));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== graph.sha256) {
    throw new BundleError(`${graph.file}: it was altered: its SHA-256 isn't that of manifest.json; copy the bundle again`);
  }
}
