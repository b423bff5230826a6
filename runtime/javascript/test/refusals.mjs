/** What the module has to refuse, each with what its message has to say. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

import { load, zipFiles } from "../src/index.js";
import { openBundle } from "../src/node.js";

/** Return a line for each refusal that didn't come as it should. */
export async function refusals(folder, { bundles }) {
  const path = join(folder, bundles.find(({ bundle }) => bundle.endsWith("-tiny")).bundle);
  const files = await openBundle(path);
  const model = await load(files, ort);
  const altered = { read: async (name) => flipped(await files.read(name), name) };
  const whole = { read: async (name) => (name === "manifest.json" ? asOnePass(await files.read(name)) : files.read(name)) };
  const zip = new Uint8Array(await readFile(`${path}.zip`));
  const tries = [
    [() => model.generate("bad"), "inputs: expected a list"],
    [() => model.generate(["baz"]), 'inputs[0]: "z"'],
    [() => model.generate([[0, 99]]), "inputs[0]: expected ids from 0 to 6, got 99"],
    [() => model.generate([[2, 0, 3]]), "inputs[0]: the padding, id 0, stands before a token"],
    [() => model.generate(["bad"], { beam_size: 2 }), "beam_size: no such option; expected beamSize"],
    [() => model.generate(["bad"], { beamSize: 2, numHypotheses: 3 }), "numHypotheses: expected at most beamSize (2), got 3"],
    [() => model.generate(["bad"], { maxLength: 0 }), "maxLength: expected an integer of at least 1, got 0"],
    [async () => (await load(altered, ort)).generate(["bad"]), "encoder.onnx: it was altered"],
    [() => load(whole, ort), "this bundle is one graph (kind one-pass)"],
    [() => openBundle(`${path}.none`), "no such folder or file"],
    [async () => zipFiles(new Uint8Array(100)), "expected a zip file"],
    [async () => zipFiles(zip.slice(0, -30)), "expected a zip file"],
  ];
  const lines = [];
  for (const [attempt, message] of tries) {
    const error = await attempt().then(
      () => null,
      (reason) => reason,
    );
    if (!error?.message.includes(message)) lines.push(`expected a refusal with "${message}", got ${error}`);
  }
  return lines;
}

function asOnePass(bytes) {
  const data = JSON.parse(new TextDecoder().decode(bytes));
  return new TextEncoder().encode(JSON.stringify({ ...data, kind: "one-pass", graphs: { model: data.graphs.encoder } }));
}

function flipped(bytes, name) {
  const copy = bytes.slice();
  if (name === "encoder.onnx") copy[copy.length >> 1] ^= 1;
  return copy;
}
