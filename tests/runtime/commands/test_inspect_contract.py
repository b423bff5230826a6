"""s2s-inspect --contract: what programs in other languages call."""

from __future__ import annotations

import json

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime import load, read_manifest
from s2s_runtime.commands.inspect import app

KINDS = ("", "-onehot", "-none", "-probabilities", "-sources", "-values")


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_is_what_the_manifest_promises(kind: str) -> None:
    """Every graph, with the states and memory of the manifest by name, dtype and rank; the tables have them too."""
    path = FIXTURES / f"tiny{kind}.s2s"
    manifest = read_manifest(path)
    found = CliRunner().invoke(app, [str(path), "--contract", "--json"])
    graphs = json.loads(found.stdout)
    assert list(graphs) == list(manifest.graphs)
    carried = [(tensor.name, tensor.dtype, len(tensor.shape)) for tensor in (*manifest.states, *manifest.memory)]
    for graph, tensors in (("encoder", "outputs"), ("decoder", "inputs")):
        listed = [(each["name"], each["dtype"], len(each["shape"])) for each in graphs[graph][tensors]]
        assert set(carried) <= set(listed)
    shown = CliRunner().invoke(app, [str(path), "--contract"])
    assert shown.exit_code == 0
    names = [each["name"] for graph in graphs.values() for tensors in graph.values() for each in tensors]
    assert all(name in shown.stdout for name in names)


def test_symbols_are_another_matter() -> None:
    """--symbols with --contract would show nothing."""
    found = CliRunner().invoke(app, [str(FIXTURES / "tiny.s2s"), "--contract", "--symbols"])
    assert (found.exit_code, found.stderr) == (
        2,
        "error: --symbols: no effect with --contract and --trace, which are about the graphs\n",
    )


@pytest.mark.parametrize("name", ["tiny", "tiny-onehot", "tiny-none", "tiny-probabilities"])
def test_a_trace_is_the_decoding(name: str) -> None:
    """The tokens chosen are those of `generate`; each step reads the states that the one before wrote."""
    model = load(FIXTURES / f"{name}.s2s")
    vocabulary = model.source_vocabulary
    source = [1, 2, 1] if vocabulary is None else "".join(each for each in vocabulary.symbols if len(each) == 1)[1:4]
    typed = "1 2 1" if isinstance(source, list) else source
    found = CliRunner().invoke(app, [str(FIXTURES / f"{name}.s2s"), "--trace", typed, "--json"])
    assert found.exit_code == 0, found.stderr
    tensors = [json.loads(line) for line in found.stdout.splitlines()]
    chosen = [each["values"][0] for each in tensors if each["direction"] == "chosen"]
    ends = model.manifest.target.end_ids
    assert [token for token in chosen if token not in ends] == model.generate([source])[0].ids
    written = {(each["step"], each["name"]): each["values"] for each in tensors if each["direction"] == "output"}
    read = {(each["step"], each["name"]): each["values"] for each in tensors if each["direction"] == "input"}
    for step in range(1, len(chosen)):
        for state in model.manifest.states:
            np.testing.assert_array_equal(read[step, state.name], written[step - 1, f"next_{state.name}"])
    shown = CliRunner().invoke(app, [str(FIXTURES / f"{name}.s2s"), "--trace", typed])
    assert len(shown.stdout.splitlines()) == len(tensors)


def test_what_cannot_be_traced() -> None:
    """Values and several sources: one line says what is expected."""
    found = CliRunner().invoke(app, [str(FIXTURES / "tiny-values.s2s"), "--trace", "1"])
    assert (found.exit_code, found.stderr) == (
        1,
        "error: --trace: expected a bundle that reads one text and writes tokens\n",
    )
