"""Passes over the graphs: each alone and each left out gives the tokens and scores of the plain conversion."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from architectures.attention import attention_additive
from architectures.recurrent import canonical, gru_reset_after
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions
from s2s_export.convert.keras_to_onnx import all_nodes, convert
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.exporter import stateless, take_apart, write_unverified
from s2s_export.graphs import onnx_loop
from s2s_export.graphs.bundle_graphs import Graphs, build_graphs, with_searches
from s2s_export.pass_names import NAMES, PASSES, named
from s2s_export.passes.registry import Passes

pytestmark = pytest.mark.tensorflow

MODELS = {
    "lstm, one-hot": (canonical, ExportOptions(start_id=1, end_ids=(2,), max_length=9, source_length=7)),
    "gru": (gru_reset_after, ExportOptions(start_id=1, end_ids=(2,), max_length=9)),
    "attention": (attention_additive, ExportOptions(start_id=1, end_ids=(2,), max_length=9)),
}
SOURCES = [[3, 4, 5], [6], [4, 4, 3, 5, 6], [5, 3], [3], [6, 5, 4, 3, 3, 4]]


class Converted:
    """Conversions by the names of their outputs, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], WeightedModel] = {}

    def __call__(self, model: keras.Model, prepare: Any, signature: Any, names: list[str], opset: int) -> Any:
        """As `s2s_export.convert.keras_to_onnx.convert`."""
        if tuple(names) not in self._made:
            self._made[tuple(names)] = convert(model, prepare, signature, names, opset)
        return self._made[tuple(names)].copy()


class Subject:
    """A model taken apart, its bundles by the passes they were made with."""

    def __init__(self, name: str, folder: Path) -> None:
        build, options = MODELS[name]
        keras.utils.set_random_seed(3)
        model = build()
        randomise(model)
        with stateless(model):
            _, self.parts, self.facts = take_apart(model, options)
        self._folder, self._convert = folder, Converted()
        self.plain = self.bundle(())

    def bundle(self, wanted: tuple[str, ...]) -> tuple[s2s_runtime.Model, Graphs]:
        """A bundle with these passes, unverified."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("s2s_export.graphs.bundle_graphs.convert", self._convert)
            graphs = with_searches(build_graphs(self.parts, self.facts, 18, Passes(wanted)), self.facts)
        folder = self._folder / ("-".join(wanted) or "none")
        folder.mkdir()
        write_unverified(folder, self.parts, self.facts, graphs)
        return s2s_runtime.load(folder), graphs


@pytest.fixture(scope="module", params=MODELS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """One of the models."""
    return Subject(request.param, tmp_path_factory.mktemp("passes"))


def same(one: s2s_runtime.Model, other: s2s_runtime.Model) -> None:
    """Tokens of both searches by both engines, in a batch and alone, and the scores of the tokens."""
    for sources in (SOURCES, SOURCES[:1], SOURCES * 10):
        for options in ({}, {"beam_size": 3, "return_scores": True}):
            for engine in ("graph", "steps"):
                left, right = (m.generate(sources, **options, engine=engine, max_length=9) for m in (one, other))
                assert [each.ids for each in left] == [each.ids for each in right]
                if options:
                    np.testing.assert_allclose([e.score for e in left], [e.score for e in right], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_each_pass_keeps_what_the_plain_graphs_give(name: str, subject: Subject) -> None:
    """With this pass alone, and with all but this one: the tokens and scores of the graphs as converted."""
    alone, graphs = subject.bundle((name,))
    assert graphs.passes.applied in ((), (name,))
    same(alone, subject.plain[0])
    others, _ = subject.bundle(tuple(each for each in NAMES if each != name))
    same(others, subject.plain[0])


def test_all_passes_together(subject: Subject) -> None:
    """The default: the same tokens from fewer nodes a step, and the manifest says which passes found something."""
    model, graphs = subject.bundle(named("default"))
    same(model, subject.plain[0])
    assert subject.plain[1].passes.applied == ()
    assert {"logits", "token_table", "gates_apart"} <= set(model.manifest.passes)
    assert "inner_constants" in model.manifest.passes
    counts = [len(list(all_nodes(each.models["decoder"].graph))) for each in (graphs, subject.plain[1])]
    assert counts[0] < counts[1]


def test_what_each_pass_finds() -> None:
    """An LSTM has gates of one activation, a GRU's are added to first; memory is read before the loop by attention."""
    found = {}
    for name, (build, options) in MODELS.items():
        model = build()
        _, parts, facts = take_apart(model, options)
        found[name] = set(with_searches(build_graphs(parts, facts, 18, Passes()), facts).passes.applied)
    assert "sums_in_products" in found["gru"]
    assert "sums_in_products" not in found["lstm, one-hot"]
    assert "one_row" in found["lstm, one-hot"]
    assert "one_row" not in found["gru"]
    assert "memory_once" in found["attention"]
    assert "memory_once" not in found["gru"]
    assert "steps_first" in found["gru"]


def test_one_row_has_a_loop_of_its_own(tmp_path: Path) -> None:
    """Two loops, of which the one for a single row counts no rows and has one product for three gates."""
    _, graphs = Subject("lstm, one-hot", tmp_path).bundle(NAMES)
    alone, rows = ([node.op_type for node in loop.node] for loop in loops(graphs.models["greedy"]))
    assert (alone.count("Gemm"), rows.count("Gemm")) == (3, 5)
    assert "ReduceSum" in rows
    assert "ReduceSum" not in alone


def loops(model: WeightedModel) -> list[onnx.GraphProto]:
    """What the loops of a graph run at each step."""
    return [node.attribute[0].g for node in model.graph.node if node.op_type == "Loop"]


def test_the_loop_for_one_sentence_holds_the_smallest_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a bound, under names of its own, as ONNX has it; the other loop and what is larger stay outside."""
    without = tuple(name for name in NAMES if name != "inner_constants")
    plain = Subject("lstm, one-hot", tmp_path).bundle(without)[1].models["greedy"]
    outermost = {tensor.name: plain.constant(tensor).nbytes for tensor in plain.graph.initializer}
    sizes = sorted(outermost[name] for name in {n for node in loops(plain)[0].node for n in node.input} & {*outermost})
    assert len(sizes) > 3
    monkeypatch.setattr(onnx_loop, "_MOST_HELD", sum(sizes[:-1]))
    made = onnx_loop.hold_constants(plain)
    assert made is not None
    assert [sorted(len(t.raw_data) for t in loop.initializer) for loop in loops(made)] == [sizes[:-1], []]
    assert not {t.name for t in loops(made)[0].initializer} & {t.name for t in made.graph.initializer}
    onnx.checker.check_model(made.proto, full_check=True)


@pytest.mark.parametrize("graph", ["greedy", "beam"])
def test_kernels_are_read_outside_of_the_loops_too(graph: str, tmp_path: Path) -> None:
    """Each that a loop multiplies by, a row of it once a run; tables of tokens aren't, as nothing packs them."""
    model = Subject("lstm, one-hot", tmp_path).bundle(NAMES)[1].models[graph]
    read = {name for node in model.graph.node if node.op_type == "Gather" for name in node.input[:1]}
    body = [node for loop in loops(model) for node in loop.node]
    outermost = {tensor.name for tensor in model.graph.initializer}
    kernels = {node.input[1] for node in body if node.op_type in ("Gemm", "MatMul")} & outermost
    assert kernels
    assert kernels == read & outermost
    onnx.checker.check_model(model.proto, full_check=True)


def test_refusals_and_order() -> None:
    """Unknown levels and passes are refused by name; passes are listed in their own order, each explained."""
    with pytest.raises(ExportError, match="optimize: expected 'none', 'default' or names of passes, got 'fast'"):
        ExportOptions(optimize="fast")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"optimize: expected passes among logits, .*, got turbo"):
        ExportOptions(optimize=("turbo",))
    assert named(("one_row", "logits")) == ("logits", "one_row")
    assert all(each.what and each.when and each.graphs for each in PASSES)
