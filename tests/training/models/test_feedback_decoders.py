"""Decoders that read more of the step before than states: what each option changes."""

import dataclasses

import keras
import numpy as np
import pytest
from layouts import IDS as PLAIN

from s2s_training.config.model import ModelConfig

pytestmark = pytest.mark.tensorflow

IDS = dataclasses.replace(PLAIN, start_id=1)
SOURCE = np.array([[3, 4, 5, 6], [7, 8, 0, 0]])
TARGET = np.array([[1, 2, 6, 3, 4], [1, 5, 3, 2, 2]])
KINDS = {
    "input feeding": {"input_feeding": True, "attention": "general", "bidirectional": True},
    "scheduled sampling": {"scheduled_sampling": 1.0, "sampling_steps": 1, "attention": "additive", "cell": "gru"},
    "free running": {"free_running": True, "attention": "dot", "input_feeding": True, "decoder_layers": 2},
    "several heads": {"input_feeding": True, "attention": "multi-head", "heads": 2, "peek": "concat"},
    "one-hot": {"free_running": True, "embedding": 0, "residual": True, "layer_norm": True, "decoder_layers": 2},
}


def build(**options):
    """A small model with weights large enough to tell inputs apart."""
    from s2s_training.models.encoder_decoder import build_model

    config = ModelConfig(**{"units": 4, "embedding": 3} | options)
    model = build_model(config, dataclasses.replace(IDS, one_hot=not config.embedding))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def say(model, source=SOURCE, target=TARGET, training=False):
    """Probabilities (batch, target time, symbols)."""
    if len(model.inputs[0].shape) == 3:
        source, target = np.eye(9)[source] * (source > 0)[..., None], np.eye(8)[target]
    return np.asarray(model([source, target], training=training))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_loaded_and_cloned_models_say_the_same(kind, tmp_path):
    """The configuration of every layer is complete."""
    model = build(**KINDS[kind])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for other in (loaded, cloned):
        np.testing.assert_allclose(say(other), say(model), atol=1e-6)


@pytest.mark.parametrize("kind", ["input feeding", "scheduled sampling", "free running", "several heads"])
def test_padding_changes_nothing(kind):
    """Attention never looks at masked source steps."""
    model = build(**KINDS[kind])
    longer = np.concatenate([SOURCE, np.zeros((2, 3), int)], axis=1)
    np.testing.assert_allclose(say(model, longer), say(model), atol=1e-6)


def test_input_feeding_joins_the_attentional_vector_to_the_next_input():
    """Without the rows of the kernel that read it, the model is the one without input feeding."""
    without = {"input_feeding": False, "scheduled_sampling": 1e-9}  # the same layer
    fed, plain = build(**KINDS["input feeding"]), build(**KINDS["input feeding"] | without)
    kernel, own = (model.get_layer("decoder").cell.cell.cell.cells[0].kernel for model in (fed, plain))
    assert kernel.shape[0] == own.shape[0] + 8
    values = [np.asarray(weight) for weight in fed.trainable_weights]
    for weight, value in zip(plain.trainable_weights, values, strict=True):
        weight.assign(value[: weight.shape[0]] if value.shape != tuple(weight.shape) else value)
    one, other = say(fed), say(plain)
    np.testing.assert_allclose(one[:, 0], other[:, 0], atol=1e-6)  # the vector before the first step is zeros
    assert np.abs(one[:, 1:] - other[:, 1:]).max() > 1e-3
    kernel.assign(np.concatenate([np.asarray(own), np.zeros((8, own.shape[1]))]))
    np.testing.assert_allclose(say(fed), other, atol=1e-6)


@pytest.mark.parametrize("free_running", [False, True])
def test_what_is_peeked_at_is_read_at_every_step(free_running):
    """Without the rows of the kernel that read it, the model is the one without; it reads the source's last output."""
    options = {"free_running": free_running, "scheduled_sampling": 0 if free_running else 1e-9, "bridge": "none"}
    peeking, plain = build(**options, peek="concat"), build(**options, peek="add")  # else nothing tells of the source
    assert np.abs(say(peeking) - say(peeking, SOURCE[:, ::-1])).max() > 1e-3
    cells = [model.get_layer("decoder").cell for model in (peeking, plain)]
    kernel = (cells[0].cell if free_running else cells[0]).cell.cell.cells[0].kernel
    assert kernel.shape[0] == 3 + 4  # the embedding and the encoder's output
    kernel.assign(np.concatenate([np.asarray(kernel)[:3], np.zeros((4, kernel.shape[1]))]))
    np.testing.assert_allclose(say(peeking), say(peeking, SOURCE[:, ::-1]), atol=1e-6)
    assert np.abs(say(plain)[:, 0] - say(plain, SOURCE[:, ::-1])[:, 0]).max() > 1e-3


def test_several_heads_are_kerass():
    """Given the same weights, a step's context is that of Keras's layer, padding left out."""
    from s2s_training.layers.attention_cells import MultiHeadAlignment
    from s2s_training.layers.cells import Given

    rng = np.random.default_rng(0)
    query, memory = rng.normal(size=(2, 5)).astype(np.float32), rng.normal(size=(2, 4, 6)).astype(np.float32)
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    theirs = keras.layers.MultiHeadAttention(3, 2)
    theirs(query[:, None], memory)
    theirs.set_weights([rng.normal(size=weight.shape) for weight in theirs.weights])
    named = {"/".join(weight.path.split("/")[-2:]): np.asarray(weight) for weight in theirs.weights}
    keys, values = (
        memory @ named[f"{part}/kernel"].reshape(6, 6) + named[f"{part}/bias"].reshape(6) for part in ("key", "value")
    )
    ours = MultiHeadAlignment(3, 2, 5)
    ours.build(query.shape)
    output = [
        named["query/kernel"],
        named["query/bias"],
        named["attention_output/kernel"],
        named["attention_output/bias"],
    ]
    ours.set_weights([part.reshape(weight.shape) for part, weight in zip(output, ours.weights, strict=True)])
    given = Given(values, keys, mask)
    context = ours(query, given=given)
    expected, weights = theirs(query[:, None], memory, attention_mask=mask[:, None], return_attention_scores=True)
    np.testing.assert_allclose(context, np.asarray(expected)[:, 0], atol=1e-5)
    np.testing.assert_allclose(given.weights[0], np.asarray(weights).mean(axis=1)[:, 0], atol=1e-6)


def test_scheduled_sampling_replaces_targets_in_training_only():
    """At a share of 1 nothing but the first target is read; in inference every one is."""
    model = build(**KINDS["scheduled sampling"])
    layer = model.get_layer("decoder")
    other = np.concatenate([TARGET[:, :1], 7 - TARGET[:, 1:]], axis=1)

    def trained(target, steps):
        layer.trained.assign(steps)
        layer.seed_generator.state.assign([1, 2])
        return say(model, target=target, training=True)

    np.testing.assert_allclose(trained(TARGET, 1), trained(other, 1), atol=1e-6)
    np.testing.assert_allclose(trained(TARGET, 0), say(model), atol=1e-6)  # the share grows from 0
    assert layer.trained == 1
    assert np.abs(say(model) - say(model, target=other)).max() > 1e-3
    assert np.abs(trained(TARGET, 1) - say(model)).max() > 1e-3


def test_guesses_follow_the_models_own_distribution():
    """Symbols are drawn by inverse transform: as often as the probabilities say."""
    from s2s_training.layers.conditioned_rnn import _draw

    probabilities = np.tile(np.float32([0.5, 0.0, 0.2, 0.3]), (1000, 1))
    drawn = np.asarray(_draw(probabilities, np.linspace(0, 1, 1000, endpoint=False, dtype=np.float32)))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 1000, [0.5, 0, 0.2, 0.3], atol=0.002)


@pytest.mark.parametrize("kind", ["free running", "one-hot"])
def test_free_running_reads_its_own_probabilities(kind):
    """Whatever the target says, only its length counts; each step reads what the step before gave."""
    model = build(**KINDS[kind])
    whole = say(model)
    np.testing.assert_allclose(say(model, target=7 - TARGET), whole, atol=1e-6)
    np.testing.assert_allclose(say(model, target=TARGET[:, :2]), whole[:, :2], atol=1e-6)
    assert np.abs(whole[:, 1] - whole[:, 2]).max() > 1e-3


def test_a_free_running_model_trains_and_the_share_is_saved(tmp_path):
    """Gradients reach every weight; the count of training steps travels with the weights."""
    model = build(**KINDS["free running"])
    before = model.get_weights()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit([SOURCE, TARGET], TARGET, verbose=0)
    assert all(np.abs(old - new).max() > 0 for old, new in zip(before, model.get_weights(), strict=True))
    sampled = build(**KINDS["scheduled sampling"])
    say(sampled, training=True)
    sampled.save_weights(tmp_path / "m.weights.h5")
    again = build(**KINDS["scheduled sampling"])
    again.load_weights(tmp_path / "m.weights.h5")
    assert again.get_layer("decoder").trained == 1


@pytest.mark.parametrize("kind", ["scheduled sampling", "input feeding"])
def test_chance_inside_the_decoder_is_a_function_of_seed_and_epoch(kind):
    """What a resumed run draws, also in cells inside layers, is what it would have drawn."""
    from s2s_training.data.tf_datasets import EpochOrder

    model = build(**KINDS[kind] | {"dropout": 0.5})
    order = EpochOrder(3)
    order.set_model(model)

    def drawn(epoch):
        order.on_epoch_begin(epoch)
        if kind == "scheduled sampling":
            model.get_layer("decoder").trained.assign(1)
        return say(model, training=True)

    np.testing.assert_array_equal(drawn(2), drawn(2))
    assert np.abs(drawn(2) - drawn(1)).max() > 1e-3


def test_contradictions_name_the_option():
    """Options that don't go together are refused with what is allowed."""
    problems = "; ".join(ModelConfig(input_feeding=True, free_running=True, tied=True, embedding=0).problems())
    assert "input_feeding: expected an attention to feed, got 'none'" in problems
    outside = "; ".join(ModelConfig(scheduled_sampling=2).problems())
    assert outside == "scheduled_sampling: expected a number from 0 to 1, got 2"
    assert "tied: needs an embedding" in problems
    assert "the decoder never sees the source" in "; ".join(ModelConfig(bridge="none").problems())
