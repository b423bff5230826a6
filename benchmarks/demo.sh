#!/usr/bin/env bash
# The demo: train on cmudict, export, decode unseen words in an environment without TensorFlow.
# Usage: demo.sh BIN RUNTIME_BIN [RUN]     (the two environments' bin folders; `make demo` gives them)
set -euo pipefail
bin=$1 runtime=$2 run=${3:-runs/demo}
here=$(dirname "$0")

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "$*" >&2; "$@"; }

say "1. Train: words to phones, with attention (four minutes at most on two cores)"
show "$bin/s2s-train" cmudict --output "$run" --force

say "2. Export, verified against Keras"
show "$bin/s2s-export" "$run/model.keras" --force

say "3. Decode words it never saw, in an environment without TensorFlow, Keras or onnx"
if "$runtime/python" -c "import tensorflow" 2>/dev/null; then
  echo "TensorFlow is installed in $runtime: this demo has to run without" >&2
  exit 1
fi
mapfile -t words < <("$runtime/python" "$here/demo_score.py" "$run" --longest 4)
show "$runtime/s2s-decode" "$run/model.s2s" --beam-size 5 --num-hypotheses 3 --scores "${words[@]}"

say "4. Score 500 unseen words"
show "$runtime/python" "$here/demo_score.py" "$run" --words 500

say "5. What the decoder looked at"
show "$runtime/s2s-decode" "$run/model.s2s" --attention-plot "$run/attention.png" "${words[0]}"
echo "drawn: $run/attention.png, $run/loss.png"

say "6. How fast"
show "$runtime/s2s-bench" "$run/model.s2s" --batch-size 1,8,64 --beam-size 1,5
