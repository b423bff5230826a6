"""Models this project has never seen, exported and compared with Keras."""

import pytest
from architectures import ARCHITECTURES

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gives_what_keras_gives(name: str, exported: dict[str, dict]) -> None:
    """Saved by one process, loaded by another: every tensor within tolerance, every token sequence the oracle's."""
    report = exported[name]
    assert "error" not in report, report
    assert report["verification"]["passed"]
    checks = report["verification"]["checks"]
    assert all(check["compared"] > 0 and check["different"] == 0 for check in checks)
    assert any("sequence" in c["what"] or "batch" in c["what"] or "values" in c["what"] for c in checks)


WITHOUT_A_TWIN = {
    "activation_without_onnx_twin",
    "frames",
    "cell_of_ones_own",
    "cell_of_ones_own_in_both_directions",
    "recurrent_layers_inside_a_layer",
}


WITHOUT_RECURRENCE = {"vector_source", "picture_source", "causal_convolutions"}  # in the encoder


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - WITHOUT_A_TWIN - WITHOUT_RECURRENCE))
def test_no_loop_where_onnx_has_a_node(name: str, exported: dict[str, dict]) -> None:
    """Recurrent layers of the encoder are native nodes, not Loop or Scan."""
    encoder = exported[name]["node_types"]["encoder"]
    assert not {"Loop", "Scan"} & set(encoder)
    assert {"LSTM", "GRU", "RNN"} & set(encoder)


@pytest.mark.parametrize("name", sorted(WITHOUT_A_TWIN))
def test_layer_without_a_twin_is_a_loop(name: str, exported: dict[str, dict]) -> None:
    """The test above can fail: an activation that ONNX's GRU lacks does end as a Loop, and a cell of the user's own."""
    assert "Loop" in exported[name]["node_types"]["encoder"]


def test_layers_inside_layers_are_nodes(exported: dict[str, dict]) -> None:
    """A recurrent layer inside a layer of the user's own is a native node, beside the loop that is the user's."""
    assert exported["recurrent_layers_inside_a_layer"]["node_types"]["encoder"]["GRU"] == 2


def test_source_of_a_model_without_mask_is_padded(exported: dict[str, dict]) -> None:
    """A model that reads its padding says so."""
    assert "every source is padded to 6" in " ".join(exported["canonical"]["notes"])
    assert not any("padded to" in note for note in exported["gru_reset_after"]["notes"])


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "attention" in name])
def test_attention_weights_come_out(name: str, exported: dict[str, dict]) -> None:
    """Attention layers and attention by hand give their weights."""
    assert exported[name]["attention"]


def test_unrolled_models_feed_probabilities_back(exported: dict[str, dict]) -> None:
    """The softmax that is fed back is one of the states, and the number of steps is the longest target."""
    target = exported["probabilities_gru"]["target"]
    assert target["feedback"] == "probabilities"
