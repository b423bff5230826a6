/** Greedy search: the likeliest token at each step, all steps in one run of the graph. */

/**
 * @param {import("./graphs.js").Graphs} graphs
 * @param {import("./graphs.js").Carried} encoded States and memory of each sentence.
 * @param {number} sentences
 * @param {import("./plan.js").Plan} plan
 * @returns {Promise<import("./plan.js").Ended[][]>} One hypothesis for each sentence.
 */
export async function searchGreedily(graphs, encoded, sentences, plan) {
  const { outputs } = await graphs.decode("greedy", encoded, Array(sentences).fill(plan.startId), {
    steps: graphs.integers([plan.maxLength], []),
    mask: graphs.floats(plan.never, [plan.size]),
    goes_on: graphs.floats(plan.ends.map((ends) => (ends ? 0 : 1)), [plan.size]),
    live: graphs.floats(Array(sentences).fill(1), [sentences]),
    least: graphs.floats([0], []),
  });
  const tokens = /** @type {BigInt64Array} */ (outputs.tokens.data);
  const steps = outputs.tokens.dims[0];
  return Array.from({ length: sentences }, (_, sentence) => {
    const ids = [];
    for (let step = 0; step < steps; step += 1) {
      const id = Number(tokens[step * sentences + sentence]);
      if (plan.ends[id]) break;
      ids.push(id);
    }
    return [{ ids, score: null }];
  });
}
