"""The manifest and the bundle folder: reading, writing, and every way a bundle can be broken."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s2s_runtime.bundle.manifest_file import (
    BundleError,
    BundleNotFoundError,
    GraphFile,
    Manifest,
    SourceSpec,
    TargetSpec,
    TensorSpec,
    describe_file,
    read_manifest,
    write_manifest,
)
from s2s_runtime.vocabulary.vocabulary_file import PaddingPolicy, Vocabulary

GRAPHS = ("encoder", "decoder", "select_state", "select_memory")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose graph files hold text: enough for everything that doesn't run them."""
    for name in GRAPHS:
        (tmp_path / f"{name}.onnx").write_text(f"graph {name}")
    manifest = Manifest(
        graphs={name: describe_file(tmp_path / f"{name}.onnx") for name in GRAPHS},
        source=SourceSpec("ids", 4, (TensorSpec("source", "int64", (None, None)),)),
        target=TargetSpec("token", 3, start_id=0, end_ids=(1,), max_length=9),
        states=(TensorSpec("state.0", "float32", (None, 8)),),
        memory=(TensorSpec("memory.0", "float32", (None, None, 8)),),
        attention=True,
        padding=PaddingPolicy(masked=True, id=0),
        source_vocabulary=Vocabulary("char", ("<pad>", *"abc"), padding="<pad>"),
        target_vocabulary=Vocabulary("char", ("\t", "\n", "a"), start="\t", end="\n"),
        verification={"encoder": {"state.0": 1e-7}},
        producers={"s2s_export": "0.1.0"},
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_manifest_survives_the_round_trip(bundle: Path) -> None:
    """What is written reads back equal, through JSON."""
    manifest = read_manifest(bundle)
    assert Manifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest
    assert manifest.target.end_ids == (1,)
    assert manifest.memory[0].shape == (None, None, 8)


def test_missing_folder_and_folder_without_manifest(tmp_path: Path) -> None:
    """Both are a FileNotFoundError that says what was expected."""
    with pytest.raises(BundleNotFoundError, match=r"nowhere: no such folder; expected a bundle"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no manifest.json in it"):
        read_manifest(tmp_path)


def test_missing_and_altered_files_are_named_together(bundle: Path) -> None:
    """A missing file, a file of another size and one of another content: one error names all three."""
    (bundle / "encoder.onnx").unlink()
    (bundle / "decoder.onnx").write_text("graph decoder, longer")
    (bundle / "select_state.onnx").write_text("graph select_stat3")
    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)
    assert "encoder.onnx is missing; decoder.onnx was altered: 21 bytes, the manifest says 13; " in str(caught.value)
    assert "select_state.onnx was altered: its SHA-256 is not the one in the manifest" in str(caught.value)


def test_hashes_may_be_left_unchecked(bundle: Path) -> None:
    """verify_hashes=False still compares sizes, not contents."""
    (bundle / "encoder.onnx").write_text("graph encodeR")
    assert read_manifest(bundle, verify_hashes=False).graphs["encoder"].bytes == 13
    with pytest.raises(BundleError, match=r"encoder.onnx was altered"):
        read_manifest(bundle)


def test_manifest_that_is_no_json(bundle: Path) -> None:
    """A cut-off manifest is one clear error that names the file."""
    (bundle / "manifest.json").write_text('{"format": ')
    with pytest.raises(BundleError, match=r"manifest.json: not a JSON file in UTF-8"):
        read_manifest(bundle)


def _set(*path: str | int, value: object) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format", value="zip"), "format: expected 's2s-bundle', got 'zip'"),
        (_set("version", value=2), "version: this version of s2s-runtime reads 1, got 2; install a newer s2s-runtime"),
        (_set("states", value=[]), "states: expected at least one"),
        (_set("states", 0, "name", value="h"), "states[0].name: expected 'state.0', got 'h'"),
        (_set("states", 0, "shape", value=[None, "x"]), "states[0].shape[1]: expected a size or null, got 'x'"),
        (_set("states", 0, "dtype", value="complex64"), "states[0].dtype: expected one of 'float32'"),
        (_set("graphs", "encoder", "file", value="../x"), "graphs.encoder.file: expected a bare file name"),
        (_set("graphs", value={}), "graphs.encoder: missing; graphs.decoder: missing; graphs.select_state: missing"),
        (_set("source", "kind", value="text"), "source.kind: expected one of 'ids', 'one-hot', 'values', got 'text'"),
        (_set("source", "kind", value="values"), "source.inputs[0]: expected float32 of 3 dimensions"),
        (_set("source", "size", value=5), "vocabulary.source: expected 5 symbols (source.size), got 4"),
        (_set("source", "inputs", value=[]), "source.inputs: expected source, got []"),
        (_set("target", "start_id", value=None), "target.start_id: expected an id, as feedback is 'token'; got null"),
        (_set("target", "start_id", value=3), "target.start_id: expected 0 to 2 (target.size), got 3"),
        (_set("target", "end_ids", value=[7]), "target.end_ids: expected 0 to 2 (target.size), got 7"),
        (_set("target", "end_ids", value=["\n"]), "target.end_ids[0]: expected an integer, got '\\n'"),
        (_set("target", "max_length", value=0), "target.max_length: expected at least 1 or null, got 0"),
        (_set("padding", "id", value=-1), "padding.id: expected 0 to 3 (its size), got -1"),
        (_set("padding", value=None), "padding: expected an object, got None"),
        (_set("vocabulary", "target", "unit", value=1), "vocabulary.target.unit: expected one of 'char'"),
        (_set("attention", value=1), "attention: expected true or false, got 1"),
    ],
)
def test_each_contradiction_is_named(bundle: Path, change: Callable[[Any], None], message: str) -> None:
    """A malformed field or a contradiction is reported by the path of the field."""
    data = copy.deepcopy(read_manifest(bundle).to_dict())
    change(data)
    with pytest.raises(BundleError) as caught:
        Manifest.from_dict(data)
    assert message in str(caught.value)


def test_all_missing_fields_are_reported_at_once() -> None:
    """An otherwise empty manifest lists every field it lacks."""
    with pytest.raises(BundleError) as caught:
        Manifest.from_dict({"format": "s2s-bundle", "version": 1})
    for name in ("graphs", "source", "target", "states", "memory", "attention", "vocabulary"):
        assert f"{name}: missing" in str(caught.value)


def test_describe_file_gives_name_size_and_hash(tmp_path: Path) -> None:
    """The exporter's helper: bare name, SHA-256 in hexadecimal, bytes."""
    (tmp_path / "a.onnx").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert describe_file(tmp_path / "a.onnx") == GraphFile("a.onnx", expected, 3)
