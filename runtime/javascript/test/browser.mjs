/**
 * Compare the module with the runtime, on onnxruntime-web in a browser: `node test/browser.mjs FOLDER [PICTURE]`.
 *
 * The browser is Debian's chromium, or the one that CHROMIUM names. The example page is driven too, and its picture
 * written to PICTURE.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { serve } from "../example/serve.mjs";
import { report } from "./report.mjs";

const [folder, picture] = process.argv.slice(2);
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
FLAGS.push("--disable-component-update", "--disable-sync", "--no-sandbox"); // as root, a sandbox can't be had

const cases = JSON.parse(await readFile(join(folder, "cases.json"), "utf8"));
const server = await serve({ "/cases/": folder });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
try {
  const page = await browser.newPage({ viewport: { width: 800, height: 430 } });
  const problems = [];
  page.on("pageerror", (error) => problems.push(`the page: ${error.message}`));
  await page.goto(`${server.address}test/page.html`);
  const bundles = [];
  for (const [i, { bundle }] of cases.bundles.entries()) {
    if (bundle.endsWith("int8-weights")) {
      console.log(`${bundle}: not compared: WebAssembly multiplies its kernels by float32, this machine by rounded numbers`);
      continue;
    }
    const lines = await page.evaluate(([index, url]) => window.compare(index, url), [i, `/cases/${bundle}${i % 2 ? ".zip" : ""}`]);
    bundles.push({ bundle, lines });
  }
  const vocabularies = await page.evaluate(() => window.compareVocabularies());
  report(`chromium ${browser.version()}`, [...vocabularies, ...(await driveExample(page)), ...problems], bundles);
} finally {
  await browser.close();
  server.close();
}

/** Say what the example page came to on the wire, packed by gzip: the engine, this module and the page, the model. */
function wire(bundle) {
  const sizes = { engine: 0, module: 0, [bundle]: 0 };
  for (const [path, bytes] of server.sent) {
    sizes[path.includes("/node_modules/") ? "engine" : path.startsWith("/cases/") ? bundle : "module"] += bytes;
  }
  const words = Object.entries(sizes).map(([what, bytes]) => `${what} ${(bytes / 1000).toFixed(1)} kB`);
  console.log(`the example page on the wire: ${words.join(", ")}`);
}

/** Type into the example page as a person would; return a line for each thing that isn't there then. */
async function driveExample(page) {
  const last = cases.bundles.at(-1);
  const run = last.runs.find(({ options }) => options.returnAttention);
  const chosen = last.inputs.findIndex((text) => text.length > 6);
  server.sent.clear();
  await page.goto(`${server.address}example/index.html?bundle=/cases/${last.bundle}`);
  await page.fill("#text", last.inputs[chosen]);
  await page.selectOption("#beam", "5");
  const texts = run.results[chosen].map(({ text }) => text);
  const shown = page.locator("#hypotheses li .text");
  await page.waitForFunction((text) => document.querySelector("#hypotheses li .text")?.textContent === text, texts[0]);
  wire(last.bundle);
  const lines = [];
  for (const [i, text] of texts.entries()) {
    if ((await shown.nth(i).textContent()) !== text) lines.push(`the example page: expected ${text} as number ${i + 1}`);
  }
  const cells = await page.locator("#map td").count();
  const expected = run.results[chosen][0].attention.flat().length;
  if (cells !== expected) lines.push(`the example page: expected a map of ${expected} weights, got ${cells}`);
  if (picture) await page.screenshot({ path: picture });
  await page.goto(`${server.address}example/index.html?bundle=/cases/fixtures-tiny`);
  await page.fill("#text", "xyz");
  await page.waitForFunction(() => document.querySelector("#error").textContent.includes("not in the source vocabulary"));
  return lines;
}
