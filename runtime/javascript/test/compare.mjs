/** What the module gives, compared with what the runtime gave; runs in Node and in a browser alike. */

import { load, Vocabulary } from "../src/index.js";

// Of scores and attention: platforms round differently, and one of 8 bits then rounds to another of its 256 values.
const TOLERANCES = { float32: 2e-5, int8: 1e-2, "int8-weights": 1e-2 };

/** Return a line for each difference in cutting and joining texts. */
export function compareVocabularies(cases) {
  const differences = [];
  for (const { side, texts, cut, joined } of cases) {
    const vocabulary = new Vocabulary(side);
    texts.forEach((text, i) => {
      const symbols = vocabulary.cut(text);
      if (!equal(symbols, cut[i])) differences.push(`${JSON.stringify(side)}: ${JSON.stringify([text, cut[i], symbols])}`);
      const whole = vocabulary.join(cut[i]);
      if (whole !== joined[i]) differences.push(`${JSON.stringify(side)} joins: ${JSON.stringify([joined[i], whole])}`);
    });
  }
  return differences;
}

/**
 * Decode a case's sources with each of its options, and count results: right, with all hypotheses as expected; tied, where
 * hypotheses that score alike stand in another order, or where the last of them scores as the first one left out.
 */
export async function compareBundle({ inputs, runs }, opened, engine, sessionOptions = {}) {
  const model = await load(opened, engine, sessionOptions);
  const tolerance = TOLERANCES[model.manifest.precision];
  const lines = [];
  for (const { options, results } of runs) {
    const found = await model.generate(inputs, options);
    const counts = { right: 0, tied: 0, of: inputs.length };
    const examples = [];
    for (const [i, { hypotheses }] of found.entries()) {
      if (sameHypotheses(hypotheses, results[i], tolerance)) counts.right += 1;
      else if (sameScores(hypotheses, results[i], tolerance)) counts.tied += 1;
      else examples.push(JSON.stringify([inputs[i], results[i], hypotheses]).slice(0, 2000));
    }
    lines.push({ options, ...counts, examples: examples.slice(0, 2) });
  }
  await model.release();
  return lines;
}

function sameHypotheses(found, expected, tolerance) {
  return (
    sameScores(found, expected, tolerance) &&
    found.every(
      (one, i) =>
        equal(one.ids, expected[i].ids) &&
        one.text === expected[i].text &&
        equal(one.tokens, expected[i].tokens) &&
        near(one.attention, expected[i].attention, tolerance),
    )
  );
}

function sameScores(found, expected, tolerance) {
  const isAlike = ({ ids, score }, i) => (score === null ? equal(ids, expected[i].ids) : near(score, expected[i].score, tolerance));
  return found.length === expected.length && found.every(isAlike);
}

const equal = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function near(one, other, tolerance) {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other || Math.abs(one - other) <= tolerance;
  return one.length === other.length && one.every((part, i) => near(part, other[i], tolerance));
}
