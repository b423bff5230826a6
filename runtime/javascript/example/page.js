import * as ort from "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { load } from "../src/index.js";

const element = (/** @type {string} */ id) => document.getElementById(id);
const bundle = new URLSearchParams(location.search).get("bundle") ?? "model.s2s";
ort.env.wasm.numThreads = 1; // a sentence at a time gains nothing by more

let isFirst = true;
let turn = 0; // of what was typed last: earlier answers come too late
const model = load(bundle, ort);
model.then(() => decode(), fail);
for (const id of ["text", "beam"]) element(id).addEventListener("input", decode);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

async function decode() {
  const mine = ++turn;
  const text = element("text").value;
  const beamSize = Number(element("beam").value);
  try {
    const ready = await model;
    if (mine !== turn) return;
    const options = { beamSize, numHypotheses: beamSize, returnAttention: ready.manifest.attention };
    const begun = performance.now();
    const [result] = await ready.generate([text], options);
    if (mine !== turn) return;
    show(text ? result.hypotheses : [], ready, result.sourceIds);
    element("error").textContent = "";
    const took = `${Math.round(performance.now() - begun)} ms${isFirst ? ", opening the graphs included" : ""}`;
    element("status").textContent = text ? took : "Type something.";
    isFirst &&= text === "";
  } catch (error) {
    if (mine === turn) fail(error);
  }
}

function fail(error) {
  show([]);
  element("error").textContent = error.message;
  element("status").textContent = "";
}

function show(hypotheses, ready, sourceIds) {
  const items = hypotheses.map((hypothesis) => {
    const item = document.createElement("li");
    item.append(made("span", hypothesis.text ?? hypothesis.tokens.join(" "), "text"));
    if (hypothesis.score !== null) item.append(made("span", hypothesis.score.toFixed(3), "score"));
    item.addEventListener("click", () => choose(item, hypothesis));
    return item;
  });
  element("hypotheses").replaceChildren(...items);
  element("map").replaceChildren();
  if (items.length > 0) choose(items[0], hypotheses[0]);

  function choose(item, hypothesis) {
    for (const other of items) other.setAttribute("aria-current", String(other === item));
    if (hypothesis.attention) drawMap(hypothesis, sourceIds.map((id) => ready.sourceVocabulary?.symbols[id] ?? String(id)));
  }
}

function drawMap({ tokens, attention }, sources) {
  const rows = attention.map((weights, step) => {
    const cells = weights.map((weight, i) => {
      const cell = made("td", "");
      cell.style.setProperty("--weight", weight.toFixed(3));
      cell.title = `${tokens[step]} looked at ${sources[i]}: ${weight.toFixed(3)}`;
      return cell;
    });
    const row = document.createElement("tr");
    row.append(made("th", tokens[step]), ...cells);
    return row;
  });
  const head = document.createElement("tr");
  head.append(made("th", ""), ...sources.map((symbol) => made("th", symbol)));
  element("map").replaceChildren(head, ...rows);
}

function made(tag, text, name = "") {
  const found = document.createElement(tag);
  found.textContent = text;
  found.className = name;
  return found;
}
