#!/usr/bin/env bash
# The pronunciation recipe on one language: a run per seed, each exported; then scores of each and of their ensemble.
# Usage: pronunciation.sh BIN TRAIN.tsv DEV.tsv RUN SEEDS     (`make recipe-pronunciation` gives them)
set -euo pipefail
bin=$1 train=$2 dev=$3 run=$4 seeds=$5
here=$(dirname "$0")

show() { printf '$ %s\n' "$*" >&2; "$@"; }

show "$bin/s2s-train" "$train" --valid-data "$dev" --config "$here/../training/recipes/pronunciation.toml" \
  --seeds "$seeds" --resume --output "$run"
for seed in ${seeds//,/ }; do
  show "$bin/s2s-export" "$run/seed-$seed/model.keras" --force >/dev/null
done
show "$bin/python" "$here/pronunciation_score.py" "$run" "$dev"
