const MOST_TIES = 0.05; // of the results of a run

/** Say what a comparison came to; the exit status is 1 where anything differs. */
export function report(where, vocabularies, bundles) {
  for (const line of vocabularies) console.error(`${where}: ${line}`);
  let failed = vocabularies.length > 0;
  for (const { bundle, lines } of bundles) {
    for (const { options, right, tied, of, examples } of lines) {
      const ties = tied ? `, ${tied} tied` : "";
      console.log(`${where}  ${bundle.padEnd(28)} ${String(right).padStart(4)} of ${of}${ties}  ${JSON.stringify(options)}`);
      for (const example of examples) console.error(example);
      failed ||= right + tied < of || tied > MOST_TIES * of || of === 0;
    }
  }
  if (failed) process.exitCode = 1;
}
