"""What the peers of a case decode: weights, bundles, sources, and the tokens that have to come out.

Needs TensorFlow, Keras and the exporter; `compare.py` runs it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from measuring.cases import BEAM_SIZE
from peers.interface import (
    BUNDLE_FOLDER,
    FLOAT16_FOLDER,
    INT8_FOLDER,
    PLAIN_FILE,
    PRODUCTS_FILE,
    SOURCE_SYMBOL,
    TARGET_SYMBOL,
    Problem,
)
from peers.weights import AttentionWeights, Weights
from problems import attentional, canonical, tagger

if TYPE_CHECKING:
    from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

Reduced = Mapping[str, Mapping[str, Any]]
"""By the folder of a bundle of fewer bits the options that make it."""

REDUCED: Mapping[str, Reduced] = {
    "int8": {INT8_FOLDER: {"quantize": "int8"}},
    "float16": {FLOAT16_FOLDER: {"dtype": "float16"}},
    "none": {},
}

SENTENCES, SEARCHED, TEXT_SENTENCES = 256, 32, 10_000
ATTENTION = attentional.Size(source=71, target=93, units=256, layers=1, embedding=256)
WORDS = attentional.Size(source=8000, target=8000, units=512, layers=2, embedding=512)


def prepare(
    folder: Annotated[Path, typer.Argument(help="Existing folder to write into.")],
    case: Annotated[str, typer.Option(help="Case, see cases.py.")] = "canonical",
    model: Annotated[Path | None, typer.Option(help="A trained canonical translator; for case text.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Pairs (TSV) whose sources are decoded; for case text.")] = None,
    fewer_bits: Annotated[str, typer.Option(help="Of the second bundle: int8, float16 or none.")] = "int8",
) -> None:
    """Write weights.npz, problem.json, model.s2s, one of fewer bits (no tagger) and, where asked of, other graphs."""
    fewer = REDUCED[fewer_bits]
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    if case == "text":
        if model is None or pairs is None:
            raise typer.BadParameter("case text: expected --model and --pairs")
        _prepare_text(folder, model, pairs, fewer)
    elif case in ("attention", "words"):
        _prepare_attention(folder, ATTENTION if case == "attention" else WORDS, fewer)
    elif case == "tagger":
        _prepare_tagger(folder)
    else:
        _prepare_canonical(folder, 1024 if case == "large" else 256, fewer)


def _prepare_canonical(folder: Path, units: int, fewer: Reduced) -> None:
    weights = canonical.random_weights(units, seed=1)
    weights.write(folder)
    sources, expected = canonical.random_sources(weights, canonical.START_ID, SENTENCES, seed=2)
    products = canonical.products(weights)
    problem = Problem(
        model="random weights",
        shape=f"{weights.source_size} and {weights.target_size} symbols, {weights.units} units, "
        f"{canonical.SOURCE_LENGTH} in, {canonical.STEPS} out",
        start_id=canonical.START_ID,
        end_id=None,
        padding_id=canonical.PADDING_ID,
        steps=canonical.STEPS,
        sources=sources,
        expected={1: expected},
        products=products,
    )
    problem.write(folder)
    _write_products(products, folder / PRODUCTS_FILE)
    _export_canonical(weights, problem, canonical.END_ID, folder, fewer)


def _prepare_tagger(folder: Path) -> None:
    import tensorflow as tf
    import tf2onnx
    from peers.tagger_keras import build_tagger

    from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile

    weights = tagger.random_weights(seed=1)
    weights.write(folder)
    sources, expected = tagger.random_sources(weights, SENTENCES, seed=2)
    Problem(
        model="random weights",
        shape=f"{tagger.WORDS:,} words, an embedding and a bidirectional LSTM of {tagger.UNITS} units, "
        f"{tagger.TAGS} tags, sentences of {tagger.LENGTH} words",
        start_id=0,
        end_id=None,
        padding_id=0,
        steps=tagger.LENGTH,
        sources=sources,
        expected={1: expected},
    ).write(folder)
    sides = (SOURCE_SYMBOL, tagger.WORDS), (TARGET_SYMBOL, tagger.TAGS)
    symbols = [tuple(form.format(i) for i in range(size)) for form, size in sides]
    vocabulary = VocabularyFile(
        Vocabulary("symbol", symbols[0], padding=symbols[0][0]),
        Vocabulary("symbol", symbols[1]),
        PaddingPolicy(masked=False, id=0, length=tagger.LENGTH),
    )
    _export(lambda: build_tagger(weights), folder, {}, vocabulary=vocabulary)
    model, signature = build_tagger(weights), [tf.TensorSpec((None, None), tf.int32, name="words")]
    called = tf.function(lambda words: model(words, training=False), input_signature=signature)
    plain, _ = tf2onnx.convert.from_function(called, signature, opset=18)
    (folder / PLAIN_FILE).write_bytes(plain.SerializeToString())


def _prepare_text(folder: Path, model: Path, pairs: Path, fewer: Reduced) -> None:
    """Real sentences and a trained model: the first that it can read, that fit, and that stay clear of ties."""
    weights, vocabulary = _trained(model)
    weights.write(folder)
    start, end = _special(vocabulary, "start"), _special(vocabulary, "end")
    length, padding, steps = vocabulary.padding.length, vocabulary.padding.id, vocabulary.max_length
    if length is None or padding is None or padding < 0 or steps is None:
        raise typer.BadParameter(
            f"{model}: expected sources padded with a symbol to a fixed length, as --tutorial does"
        )
    rows = _read_sources(pairs, vocabulary, length, TEXT_SENTENCES * 5 // 4)
    sources = np.full((len(rows), length), padding)
    for place, ids in enumerate(rows):
        sources[place, : len(ids)] = ids
    tokens, margins = canonical.decode(weights, sources, start, steps, end)
    clear = np.flatnonzero(margins > canonical.MIN_MARGIN)[:TEXT_SENTENCES]
    if len(clear) < TEXT_SENTENCES:
        raise typer.BadParameter(f"{pairs}: expected {TEXT_SENTENCES} sentences that fit the model, got {len(clear)}")
    problem = Problem(
        model=f"{model.parent.name}/{model.name}",
        shape=f"{len(clear)} sources of {pairs.name}, {weights.units} units, "
        f"{(tokens[clear] >= 0).sum(axis=1).mean():.1f} characters out on average, at most {steps}",
        start_id=start,
        end_id=end,
        padding_id=padding,
        steps=steps,
        sources=sources[clear],
        expected={1: tokens[clear]},
    )
    problem.write(folder)
    _export_canonical(weights, problem, end, folder, fewer)


def _prepare_attention(folder: Path, size: attentional.Size, fewer: Reduced) -> None:
    weights = attentional.random_weights(size, seed=1)
    weights.write(folder)
    sources, expected = attentional.choose(weights, size, SENTENCES, SEARCHED, BEAM_SIZE)
    lengths = (expected[1] >= 0).sum(axis=1)
    Problem(
        model="random weights",
        shape=f"{size.source} and {size.target} symbols, {size.units} units, layers: {size.layers} and {size.layers}, "
        f"embeddings of {size.embedding}, {attentional.SOURCE_LENGTH} in, {lengths.mean():.1f} out on average "
        f"(greedy), at most {attentional.STEPS}",
        start_id=attentional.START_ID,
        end_id=attentional.END_ID,
        padding_id=attentional.PADDING_ID,
        steps=attentional.STEPS,
        sources=sources,
        expected=expected,
    ).write(folder)
    _export(
        lambda: _attention_model(weights, size),
        folder,
        fewer,
        start_id=attentional.START_ID,
        end_ids=(attentional.END_ID,),
        max_length=attentional.STEPS,
    )


def _attention_model(weights: AttentionWeights, size: attentional.Size) -> Any:
    """Return the training model of this project with these weights."""
    from s2s_training.config.model import ModelConfig
    from s2s_training.data.arrays import Layout
    from s2s_training.models.encoder_decoder import build_model

    config = ModelConfig(
        units=size.units // 2,
        decoder_units=size.units,
        encoder_layers=size.layers,
        decoder_layers=size.layers,
        bidirectional=True,
        embedding=size.embedding,
        attention="general",
        input_feeding=True,
        bridge="none",
    )
    layout = Layout(
        source_size=size.source,
        target_size=size.target,
        one_hot=False,
        fed=True,
        source_padding=attentional.PADDING_ID,
        target_padding=attentional.PADDING_ID,
        source_length=None,
        target_length=None,
        source_side="right",
        padding_counts=False,
        per_step=False,
        start_id=attentional.START_ID,
    )
    model = build_model(config, layout)
    model.get_layer("source_embedding").set_weights([weights.source_embedding])
    for layer, both in enumerate(weights.encoder, start=1):
        model.get_layer(f"encoder_{layer}").set_weights([array for lstm in both for array in lstm])
    model.get_layer("attention_key").set_weights([weights.keys])
    given = {
        "embedding": weights.target_embedding,
        "attentional_kernel": weights.attentional_kernel,
        "attentional_bias": weights.attentional_bias,
        "kernel": weights.dense_kernel,
        "bias": np.zeros(size.target, np.float32),
    }
    decoder = model.get_layer("decoder")
    arrays = [array for lstm in weights.decoder for array in lstm]
    for variable in decoder.weights:
        is_lstm = "lstm_cell" in variable.path
        variable.assign(arrays.pop(0) if is_lstm else given.pop(variable.name))
    if arrays or given:
        raise RuntimeError(f"the decoder took no {', '.join(given) or 'LSTM weights'}")
    return model


def _trained(path: Path) -> tuple[Weights, VocabularyFile]:
    """Weights of a trained canonical translator, and the vocabulary beside it."""
    import keras

    from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

    model = keras.models.load_model(path)
    vocabulary = VocabularyFile.read(path.parent / "vocab.json")
    lstms = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if len(lstms) != 2 or len(dense) != 1:
        raise typer.BadParameter(f"{path}: not the canonical translator (two LSTM and one Dense)")
    encoder, decoder = lstms
    return Weights(*encoder.get_weights(), *decoder.get_weights(), *dense[0].get_weights()), vocabulary


def _special(vocabulary: VocabularyFile, name: str) -> int:
    """Id of the start or end symbol."""
    found = None if vocabulary.target is None else getattr(vocabulary.target, f"{name}_id")
    if not isinstance(found, int):
        raise typer.BadParameter(f"--model: its vocab.json has no {name} symbol of the target")
    return found


def _read_sources(pairs: Path, vocabulary: VocabularyFile, length: int, count: int) -> list[list[int]]:
    """Ids of the first sources of a file of pairs that the model can read."""
    from s2s_runtime.errors import UnknownSymbolError

    if vocabulary.source is None:
        raise typer.BadParameter("--model: its vocab.json has no source side")
    found: list[list[int]] = []
    for line in pairs.read_text(encoding="utf-8").splitlines():
        try:
            ids = vocabulary.source.encode(line.split("\t")[0])
        except UnknownSymbolError:
            continue
        if 0 < len(ids) <= length:
            found.append(ids)
        if len(found) == count:
            break
    return found


def _export_canonical(weights: Weights, problem: Problem, end: int, folder: Path, fewer: Reduced) -> None:
    from peers.keras_tutorial import build_training_model

    _export(
        lambda: build_training_model(weights),
        folder,
        fewer,
        start_id=problem.start_id,
        end_ids=(end,),
        padding=str(problem.padding_id),
        source_length=problem.sources.shape[1],
        source_kind="one-hot",
        max_length=problem.steps,
    )


def _export(build: Callable[[], Any], folder: Path, fewer: Reduced, **options: Any) -> None:
    """Write the bundle, and those of fewer bits."""
    from s2s_export.exporter import export
    from s2s_export.options import ExportOptions

    export(build(), folder / BUNDLE_FOLDER, ExportOptions(**options))
    for name, how in fewer.items():
        export(build(), folder / name, ExportOptions(**options, **how))


def _write_products(products: list[tuple[int, int, int]], path: Path) -> None:
    """Write a graph of nothing but the products of one decoding, each of rows of its own with the same weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, inputs, outputs, weights = [], [], [], []
    for place, (times, shared, columns) in enumerate(products):
        kernel = np.full((shared, columns), 0.5, np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel.{place}"))
        rows = [f"rows.{place}.{i}" for i in range(times)]
        made = [f"product.{place}.{i}" for i in range(times)]
        inputs.append(helper.make_tensor_value_info(f"rows.{place}", TensorProto.FLOAT, [times, None, shared]))
        nodes.append(helper.make_node("Split", [f"rows.{place}"], rows, axis=0, num_outputs=times))
        nodes += [helper.make_node("MatMul", [a, f"kernel.{place}"], [b]) for a, b in zip(rows, made, strict=True)]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, columns]) for name in made]
    graph = helper.make_graph(nodes, "products", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


if __name__ == "__main__":
    typer.run(prepare)
