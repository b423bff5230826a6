"""s2s-inspect --contract: what programs in other languages call."""

from __future__ import annotations

import json

import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime import read_manifest
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
        "error: --symbols: no effect with --contract, which is about the graphs\n",
    )
