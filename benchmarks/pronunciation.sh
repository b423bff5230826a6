#!/usr/bin/env bash
# The pronunciation recipe on one language: a run per seed, each scored greedily and with beam 5, then their ensemble.
# Usage: pronunciation.sh BIN TRAIN.tsv DEV.tsv RUN SEEDS     (`make recipe-pronunciation` gives them)
set -euo pipefail
bin=$1 train=$2 dev=$3 run=$4 seeds=$5
here=$(dirname "$0")

show() { printf '$ %s\n' "$*" >&2; "$@"; }

show "$bin/s2s-train" "$train" --valid-data "$dev" --config "$here/../training/recipes/pronunciation.toml" \
  --seeds "$seeds" --resume --output "$run"
bundles=()
for seed in ${seeds//,/ }; do
  show "$bin/s2s-export" "$run/seed-$seed/model.keras" --force >/dev/null
  bundle="$run/seed-$seed/model.s2s"
  show "$bin/s2s-evaluate" "$bundle" "$dev"
  show "$bin/s2s-evaluate" "$bundle" "$dev" --beam-size 5
  bundles+=("$bundle")
done
if [ "${#bundles[@]}" -gt 1 ]; then
  others=()
  for bundle in "${bundles[@]:1}"; do others+=(--ensemble-with "$bundle"); done
  show "$bin/s2s-evaluate" "${bundles[0]}" "$dev" --beam-size 5 "${others[@]}"
fi
