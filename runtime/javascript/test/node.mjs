/** Compare the module with the runtime, on onnxruntime-node: `node test/node.mjs FOLDER`, made by make_expected.py. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

import { openBundle } from "../src/node.js";
import { compareBundle, compareVocabularies } from "./compare.mjs";
import { report } from "./report.mjs";
import { refusals } from "./refusals.mjs";

const folder = process.argv[2];
const cases = JSON.parse(await readFile(join(folder, "cases.json"), "utf8"));
const bundles = [];
for (const [i, found] of cases.bundles.entries()) {
  const opened = await openBundle(join(folder, found.bundle + (i % 2 ? ".zip" : ""))); // a folder and a zip in turn
  bundles.push({ bundle: found.bundle, lines: await compareBundle(found, opened, ort) });
}
report("node", [...compareVocabularies(cases.vocabularies), ...(await refusals(folder, cases))], bundles);
