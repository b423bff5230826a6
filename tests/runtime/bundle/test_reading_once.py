"""A bundle is read once, whole, and closed: wherever it lies, and whatever happens to its place afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from places import FIXTURES

import s2s_runtime
from s2s_runtime import BundleError, Model, read_manifest
from s2s_runtime.bundle import manifest_file
from s2s_runtime.bundle.manifest_file import Manifest, describe_file, write_manifest
from s2s_runtime.ort import graph_bytes
from s2s_runtime.ort import open_session as open_session_module
from s2s_runtime.ort.graph_bytes import placed
from s2s_runtime.ort.open_session import open_session
from s2s_runtime.ort.sessions import SessionSettings

BUNDLE = FIXTURES / "format-1" / "run" / "model.s2s"
"""Its weights lie in a file of their own; those of the searches are constants of a loop, and of loops in branches."""


def decoded(model: Model) -> list[object]:
    """What each of the graphs gives: greedy, beam, steps."""
    calls: list[dict[str, object]] = [{}, {"beam_size": 3}, {"engine": "steps"}]
    rows = [[1, 2, 3], [3]]
    return [result.to_dict() for options in calls for result in model.generate(rows, **options)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected() -> list[object]:
    """What the folder gives."""
    with s2s_runtime.load(BUNDLE) as model:
        return decoded(model)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle that may be changed."""
    return Path(shutil.copytree(BUNDLE, tmp_path / "copy.s2s"))


def links(folder: Path) -> Path:
    """A folder as a Hugging Face cache has it: each file a link to one named after its content, elsewhere."""
    blobs, snapshot = folder.with_name("blobs"), folder.with_name("snapshot")
    shutil.move(folder, blobs)
    snapshot.mkdir()
    for file in blobs.iterdir():
        blob = file.rename(blobs / f"blob-{file.name}")
        (snapshot / file.name).symlink_to(Path("..") / "blobs" / blob.name)
    return snapshot


def volume(folder: Path) -> Path:
    """A folder as a Kubernetes volume has it: each file a link through a link to the folder of now."""
    mount = folder.with_name("mount")
    mount.mkdir()
    shutil.move(folder, mount / "..2026")
    (mount / "..data").symlink_to("..2026")
    for file in (mount / "..2026").iterdir():
        (mount / file.name).symlink_to(Path("..data") / file.name)
    return mount


def linked(folder: Path) -> Path:
    """A link to the folder."""
    link = folder.with_name("current.s2s")
    link.symlink_to(folder.name)
    return link


@pytest.mark.parametrize("form", [links, volume, linked])
def test_symbolic_links_are_followed(copy: Path, expected: list[object], form: Callable[[Path], Path]) -> None:
    """As deployments lay bundles out; onnxruntime itself refuses constants behind a link."""
    assert decoded(s2s_runtime.load(form(copy))) == expected


def overwrite(folder: Path) -> None:
    """What stands in the files is another thing now, in place."""
    for file in folder.iterdir():
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))


def exchange(folder: Path) -> None:
    """Another bundle stands in its place."""
    shutil.rmtree(folder)
    shutil.copytree(BUNDLE.parents[2] / "tiny.s2s", folder)


@pytest.mark.parametrize("change", [overwrite, exchange, shutil.rmtree])
def test_a_loaded_model_stays_what_it_was(copy: Path, expected: list[object], change: Callable[[Path], None]) -> None:
    """Graphs that are opened later are those that were loaded, and no constant is read while it runs."""
    model = s2s_runtime.load(copy)
    model.generate([[1, 2]])
    change(copy)
    assert decoded(model) == expected


def test_file_numbers_play_no_part(copy: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows gives none where it lists a folder: `st_ino` is 0 there, and another in `os.stat`."""
    scandir = os.scandir

    def entry(found: os.DirEntry[str]) -> SimpleNamespace:
        def of_windows() -> os.stat_result:
            return os.stat_result((found.stat().st_mode, 0, *tuple(found.stat())[2:]))

        return SimpleNamespace(name=found.name, path=found.path, is_file=found.is_file, stat=of_windows)

    def listing(path: str | int) -> object:
        return scandir(path) if isinstance(path, int) else iter([entry(each) for each in scandir(path)])

    monkeypatch.setattr(os, "scandir", listing)
    model = s2s_runtime.load(copy)
    monkeypatch.undo()
    assert decoded(model) == expected


def test_no_file_is_left(tmp_path: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays in the folder of temporary files while the model is alive."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = s2s_runtime.load({path.name: path.read_bytes() for path in BUNDLE.iterdir()})
    assert decoded(model) == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals and fork are POSIX's")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_file(tmp_path: Path, end: signal.Signals) -> None:
    """A process that is ended while it has a model in memory leaves nothing in the folder of temporary files."""
    program = (
        "import pathlib, sys, time, s2s_runtime\n"
        "files = {path.name: path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()}\n"
        "model = s2s_runtime.load(files)\n"
        "model.generate([[1, 2]])\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(BUNDLE)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(end)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_takes_nothing_away(tmp_path: Path) -> None:
    """Its end is not the end of what its parent decodes with."""
    program = (
        "import os, pathlib, sys, s2s_runtime\n"
        "files = {path.name: path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()}\n"
        "model = s2s_runtime.load(files, workers=1, intra_op_threads=1)\n"
        "model.generate([[1, 2]])\n"
        "if os.fork() == 0:\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "print(len(model.generate([[1, 2]], beam_size=3)))"
    )
    found = subprocess.run([sys.executable, "-c", program, str(BUNDLE)], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("1\n", "")


def renamed(copy: Path, graph: str) -> Path:
    """The bundle, one of its graphs reading another file, its manifest saying so."""
    file = copy / f"{graph}.onnx"
    file.write_bytes(file.read_bytes().replace(b"weights.bin", b"secrets.bin"))
    (copy / "secrets.bin").write_bytes((copy / "weights.bin").read_bytes())
    manifest = read_manifest(BUNDLE)
    graphs = {**manifest.graphs, graph: describe_file(file)}
    write_manifest(copy, Manifest(**{**vars(manifest), "graphs": graphs}))
    return copy


@pytest.mark.parametrize("graph", ["encoder", "decoder", "greedy", "beam"])
def test_graphs_read_nothing_else(copy: Path, graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that names a file beside the weights is refused, at every depth, wherever that file lies."""
    monkeypatch.chdir(renamed(copy, graph))
    with pytest.raises(BundleError, match=rf"{graph}.onnx: .* reads 'secrets.bin', expected no file but weights.bin"):
        decoded(s2s_runtime.load(copy))


def test_places_outside_the_weights_are_refused() -> None:
    """Weights that are shorter than a graph says, as with hashes left unchecked."""
    graph = (BUNDLE / "encoder.onnx").read_bytes()
    with pytest.raises(BundleError, match=r"e: .* reads bytes \d+ to \d+ of weights.bin, which has 10"):
        placed(graph, {"weights.bin": bytes(10)}, "e")


@pytest.mark.parametrize("graph", ["encoder", "greedy", "beam"])
def test_a_graph_cut_short_is_one_error(graph: str) -> None:
    """Wherever it was cut."""
    whole, weights = (BUNDLE / f"{graph}.onnx").read_bytes(), {"weights.bin": (BUNDLE / "weights.bin").read_bytes()}
    for length in range(1, len(whole), 97):
        with pytest.raises(BundleError, match="onnxruntime can't load this graph"):
            open_session(whole[:length], SessionSettings(intra_op_threads=1), graph, weights)


def test_constants_of_a_loop_move_out_of_it() -> None:
    """Then onnxruntime takes them from memory; of a loop in a branch it can't, and they are written into the graph."""
    weights = {"weights.bin": (BUNDLE / "weights.bin").read_bytes()}
    found = {name: placed((BUNDLE / f"{name}.onnx").read_bytes(), weights, name) for name in ("beam", "greedy")}
    assert {name: graph.in_memory for name, graph in found.items()} == {"beam": True, "greedy": True}
    assert len(found["beam"].content) == pytest.approx((BUNDLE / "beam.onnx").stat().st_size, abs=16)
    assert len(found["greedy"].content) > (BUNDLE / "greedy.onnx").stat().st_size + 1024


def test_no_place_for_temporary_files_is_needed(expected: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs with loops in branches, as those of LSTM models, come from memory as all others do."""

    def refuse(*_: object, **__: object) -> str:
        raise OSError("there is no such place")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert decoded(s2s_runtime.load(BUNDLE)) == expected


def test_a_graph_too_large_for_memory(expected: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a protocol buffer can't hold with its constants written into it is opened from a private copy."""
    monkeypatch.setattr(graph_bytes, "_MOST_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert decoded(s2s_runtime.load(BUNDLE)) == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opens", [True, False])
def test_large_weights_are_compared_while_graphs_open(
    copy: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    """No model comes of altered ones, and their error is told, not what opening the graphs with them may raise."""
    monkeypatch.setattr(manifest_file, "_LARGE", 0)
    assert decoded(s2s_runtime.load(copy)) == expected
    content = bytearray((copy / "weights.bin").read_bytes())
    content[-1] ^= 1
    (copy / "weights.bin").write_bytes(content)
    if not opens:
        monkeypatch.setattr("s2s_runtime.loading.open_step_model", lambda *_, **__: 1 / 0)
    with pytest.raises(BundleError, match=r"weights.bin was altered: its SHA-256 is not the one"):
        s2s_runtime.load(copy)
    (copy / "decoder.onnx").unlink()
    with pytest.raises(BundleError, match=r"decoder.onnx is missing; weights.bin was altered"):
        s2s_runtime.load(copy)


def test_constants_are_not_copied() -> None:
    """What onnxruntime is given of a graph's constants are views of the bundle's bytes; the graph stays as it is."""
    graph, weights = (BUNDLE / "encoder.onnx").read_bytes(), (BUNDLE / "weights.bin").read_bytes()
    found = placed(graph, {"weights.bin": weights}, "encoder")
    assert found.content is graph
    assert found.constants
    whole = np.frombuffer(weights, np.uint8)
    assert all(np.shares_memory(constant, whole) for constant in found.constants.values())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the graphs that onnxruntime was asked to open; constants of 512 bytes are large ones."""
    names: list[str] = []
    start = open_session_module._start

    def noting(*given: Any) -> Any:
        names.append(Path(given[-1]).stem)
        return start(*given)

    monkeypatch.setattr(open_session_module, "_start", noting)
    monkeypatch.setattr(graph_bytes, "_LARGE", 512)
    return names


def test_onnxruntime_reads_large_constants_where_they_are(started: list[str], expected: list[object]) -> None:
    """It opens the graphs without a copy of them: they are said to lie where nothing can be read."""
    weights = {"weights.bin": (BUNDLE / "weights.bin").read_bytes()}
    assert all(placed((BUNDLE / f"{name}.onnx").read_bytes(), weights, name).large for name in ("encoder", "beam"))
    assert decoded(s2s_runtime.load(BUNDLE)) == expected
    assert len(set(started)) == len(started) > 1


def test_packages_that_are_no_files(
    started: list[str], expected: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a zip file: onnxruntime then copies the constants, as it does where it wants to compute with one first."""
    monkeypatch.setattr(open_session_module, "NOWHERE", tmp_path / "package.zip")
    assert decoded(s2s_runtime.load(BUNDLE)) == expected
    looks = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 25)  # for a file of which it reads nothing
    openings = 2 if looks else 1
    assert {name: started.count(name) for name in ("encoder", "beam")} == {"encoder": openings, "beam": openings}


def test_a_large_constant_that_is_computed_with(started: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Onnxruntime transposes it before any run: it has read what it was handed, not another file, and complains not."""
    helper = pytest.importorskip("onnx.helper", reason="the environment of the runtime alone has no onnx")
    table = np.arange(200 * 300, dtype=np.float32).reshape(200, 300)
    weight = helper.make_tensor("weight", 1, table.shape, table.tobytes(), raw=True)
    weight.ClearField("raw_data")
    weight.data_location = 1
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(table.nbytes))):
        weight.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Transpose", ["weight"], ["turned"]), helper.make_node("MatMul", ["x", "turned"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, 1, [1, size]) for name, size in (("x", 300), ("y", 200)))
    model = helper.make_model(
        helper.make_graph(nodes, "graph", [x], [y], [weight]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    weights = {"weights.bin": table.tobytes()}
    assert placed(model.SerializeToString(), weights, "graph").large
    session = open_session(model.SerializeToString(), SessionSettings(intra_op_threads=1), "graph", weights)
    assert (started, capfd.readouterr().err) == (["graph", "graph"], "")
    given = np.ones((1, 300), np.float32)
    np.testing.assert_allclose(session.run(None, {"x": given})[0], given @ table.T, rtol=1e-5)


def test_a_session_keeps_its_constants() -> None:
    """Also where nothing else holds the bundle's bytes any more: onnxruntime reads them where they are."""
    settings = SessionSettings(intra_op_threads=1)
    session = open_session(
        (BUNDLE / "encoder.onnx").read_bytes(),
        settings,
        "encoder",
        {"weights.bin": bytes(bytearray((BUNDLE / "weights.bin").read_bytes()))},
    )
    feeds = {session.get_inputs()[0].name: np.array([[1, 2, 3]])}
    before = session.run(None, feeds)
    others = [bytes([i]) * (BUNDLE / "weights.bin").stat().st_size for i in range(50)]
    for one, other in zip(before, session.run(None, feeds), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(others) == 50


def test_a_mapping_that_changes_later_is_no_matter(expected: list[object]) -> None:
    """What may change is copied; what is no bytes is refused."""
    files = {path.name: bytearray(path.read_bytes()) for path in BUNDLE.iterdir()}
    model = s2s_runtime.load(files)  # type: ignore[arg-type]
    for content in files.values():
        content[:] = bytes(len(content))
    assert decoded(model) == expected
    manifest = json.loads((BUNDLE / "manifest.json").read_bytes())
    with pytest.raises(s2s_runtime.InputError, match=r"expected bytes for 'manifest.json', got dict"):
        s2s_runtime.load({"manifest.json": manifest})
