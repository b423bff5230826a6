/** Beam search: a graph extends all beams some steps in one run; this side looks which sequences ended, and when enough did. */

/**
 * @typedef {import("./plan.js").Ended} Ended
 * @typedef {import("./plan.js").Plan} Plan
 */

const STEPS = 6; // in a run: each step beyond a sentence's end is lost

/** The beams of a sentence so far, and what has ended of them. */
class Sentence {
  /** @param {Plan} plan */
  constructor(plan) {
    this.plan = plan;
    /** @type {{tokens: number[], parents: number[]}[]} */
    this.steps = [];
    /** @type {Ended[]} */
    this.ended = [];
    this.best = -Infinity;
    this.goesOn = true;
  }

  /**
   * Follow one step of the graph.
   *
   * @param {Step} candidates The best extensions, those that end among them.
   * @param {Step} beams The best of those that don't end.
   */
  follow(candidates, beams) {
    const { beamSize, maxLength, lengthPenalty, ends } = this.plan;
    for (let i = 0; i < Math.min(beamSize, candidates.tokens.length); i += 1) {
      if (candidates.scores[i] > -Infinity && ends[candidates.tokens[i]]) {
        this.end(this.trace(candidates.parents[i]), candidates.scores[i]);
      }
    }
    const length = this.steps.length + 1;
    this.goesOn = beams.scores[0] > -Infinity;
    if (length >= maxLength) {
      for (let i = 0; i < beams.tokens.length; i += 1) {
        if (beams.scores[i] > -Infinity) this.end([...this.trace(beams.parents[i]), beams.tokens[i]], beams.scores[i]);
      }
      this.goesOn = false;
    }
    const bound = Math.fround(beams.scores[0] / maxLength ** lengthPenalty); // no beam can score more than this
    if (this.ended.length >= beamSize && bound <= this.best) this.goesOn = false;
    this.steps.push(beams);
  }

  /**
   * @param {number[]} ids Without the token that ends them.
   * @param {number} logProbability
   */
  end(ids, logProbability) {
    const score = logProbability / (this.steps.length + 1) ** this.plan.lengthPenalty;
    this.ended.push({ ids, score });
    this.best = Math.max(this.best, Math.fround(score));
  }

  /**
   * Return the tokens of a beam from the first step to the last.
   *
   * @param {number} beam
   */
  trace(beam) {
    const ids = [];
    for (let step = this.steps.length - 1; step >= 0; step -= 1) {
      ids.push(this.steps[step].tokens[beam]);
      beam = this.steps[step].parents[beam];
    }
    return ids.reverse();
  }

  /** Return the best distinct hypotheses, best first; of equal ones, the one that ended first. */
  hypotheses() {
    /** @type {Map<string, Ended>} */
    const best = new Map();
    for (const hypothesis of this.ended.toSorted((one, other) => Number(other.score) - Number(one.score))) {
      const key = hypothesis.ids.join(" ");
      if (!best.has(key)) best.set(key, hypothesis);
    }
    return [...best.values()].slice(0, this.plan.numHypotheses);
  }
}

/**
 * @typedef {object} Step
 * @property {number[]} scores
 * @property {number[]} parents
 * @property {number[]} tokens
 */

/**
 * @param {import("./graphs.js").Graphs} graphs
 * @param {import("./graphs.js").Carried} encoded States and memory of each sentence.
 * @param {number} count How many sentences.
 * @param {Plan} plan
 * @returns {Promise<Ended[][]>} The hypotheses of each sentence, best first.
 */
export async function searchBeams(graphs, encoded, count, plan) {
  const { beamSize: width, size, maxLength } = plan;
  const rows = Array.from({ length: count * width }, (_, row) => Math.floor(row / width));
  let carried = await graphs.select(encoded, rows);
  let tokens = rows.map(() => plan.startId);
  // at the first step all beams of a sentence are alike: only one counts
  /** @type {import("./graphs.js").Tensor} */
  let scores = graphs.floats(rows.map((_, row) => (row % width === 0 ? 0 : -Infinity)), [count, width]);
  const examined = Math.min(width * (1 + plan.ends.filter(Boolean).length), width * size);
  const fixed = {
    width: graphs.integers([width], [1]),
    examined: graphs.integers([examined], [1]),
    mask: graphs.floats(plan.never, [size]),
    ending: graphs.floats(plan.ends.map((ends) => (ends ? -Infinity : 0)), [size]),
  };
  const sentences = Array.from({ length: count }, () => new Sentence(plan));
  for (let length = 0; sentences.some((sentence) => sentence.goesOn); ) {
    const steps = Math.min(STEPS, maxLength - length);
    const run = await graphs.decode("beam", carried, tokens, { steps: graphs.integers([steps], []), scores, ...fixed });
    carried = run.carried;
    scores = run.outputs.next_scores;
    for (let step = 0; step < steps; step += 1) {
      sentences.forEach((sentence, i) => {
        if (sentence.goesOn) sentence.follow(part(run.outputs, "candidate", step, i), part(run.outputs, "beam", step, i));
      });
    }
    tokens = Array.from(/** @type {BigInt64Array} */ (run.outputs.beam_tokens.data).slice(-count * width), Number);
    length += steps;
  }
  return sentences.map((sentence) => sentence.hypotheses());
}

/**
 * Return what a run gave for a step and a sentence.
 *
 * @param {import("./graphs.js").Tensors} outputs
 * @param {"candidate" | "beam"} kind
 * @param {number} step
 * @param {number} sentence
 * @returns {Step}
 */
function part(outputs, kind, step, sentence) {
  const [, count, width] = outputs[`${kind}_scores`].dims;
  const start = (step * count + sentence) * width;
  const [scores, parents, tokens] = ["scores", "parents", "tokens"].map((name) =>
    Array.from(/** @type {ArrayLike<number>} */ (outputs[`${kind}_${name}`].data.slice(start, start + width)), Number),
  );
  return { scores, parents, tokens };
}
