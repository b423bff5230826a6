"""Loads and exports saved models, as a stranger to them.

`python export_architectures.py FOLDER PART PARTS` takes every PARTS-th model and writes reports-PART.json.
"""

import gc
import json
import sys
from pathlib import Path

import architectures.own_cells  # registers what its user wrote, as whoever loads such a file does
import architectures.prefixes  # noqa: F401
import keras
from architectures import fed

from s2s_export import ExportOptions, export, load_model
from s2s_export.report import to_dict
from s2s_runtime.errors import S2SError

# What only the person who trained such a model can know: its padded length, as it has no mask.
READS_PADDING = {
    "canonical",
    "activation_without_onnx_twin",
    "stateful",
    "untyped_inputs",
    "sequential_parts",
    "attention_by_hand",
    "attention_by_hand_additive",
    "probabilities_attention",
    "probabilities_gru",
    "probabilities_lstm",
    "probabilities_first_state_left_out",
    "probabilities_shared_layer",
    "attention_multi_head_twice",
    "convolved_encoder",
    "simple_seq2seq",
    "seq2seq_readout",
    "attention_seq2seq",
    "features_beside_words",
    "causal_convolutions",
    "forecast_from_the_known",
    "forecast_of_zeros",
    "forecast_joined",
    "time_distributed_models",
    "time_distributed_one_hot",
    "cell_that_attends",
    "teacher_sliced_attention",
    "teacher_sliced_rows",
    "list_of_outputs",
    "frames",
    "axes_moved_in_the_encoder",
    "permuted_scores",
    "video_source",
}
ZEROS_FIRST = {"probabilities_shared_layer"}
FEEDS = {
    **fed.FEEDS,
    "continuous": {"shifted": "previous"},
    "looks_back_on_itself": {"shifted": "previous"},
    "frames": {"last_frames": "previous"},
}
WITHOUT_TOKENS = {
    *("repeat_vector", "continuous", "frames", "simple_seq2seq", "seq2seq_readout", "attention_seq2seq"),
    *("forecast_from_the_known", "forecast_of_zeros", "forecast_joined", "looks_back_on_itself"),
}


def options(name: str) -> ExportOptions:
    """The few facts a graph can't tell."""
    return ExportOptions(
        **({} if name in WITHOUT_TOKENS else {"end_ids": (2,), "max_length": 5}),
        **({} if name in WITHOUT_TOKENS | ZEROS_FIRST else {"start_id": 1}),
        start_zeros=name in ZEROS_FIRST,
        **({"source_length": 6} if name in READS_PADDING else {}),
        feed=FEEDS.get(name, {}),
    )


if __name__ == "__main__":
    gc.freeze()  # walking through TensorFlow at each collection took a third of the time
    folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    reports = {}
    for path in sorted(folder.glob("*.keras"))[part::parts]:
        keras.utils.clear_session()
        try:
            model = load_model(path)
            reports[path.stem] = to_dict(export(model, path.with_suffix(".s2s"), options(path.stem)))
        except S2SError as error:
            reports[path.stem] = {"error": f"{type(error).__name__}: {error}"}
    (folder / f"reports-{part}.json").write_text(json.dumps(reports, indent=1), encoding="utf-8")
