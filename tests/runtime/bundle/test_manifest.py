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
        (
            _set("source", "kind", value="text"),
            "source.kind: expected one of 'ids', 'one-hot', 'values', 'vector', got",
        ),
        (_set("source", "kind", value="values"), "source.inputs[0]: expected float32 of 3 dimensions"),
        (_set("source", "size", value=5), "vocabulary.source: expected 5 symbols (source.size), got 4"),
        (_set("source", "inputs", value=[]), "source.inputs: expected source, got []"),
        (_set("target", "start_id", value=None), "target.start_id: expected an id, as feedback is 'token'; got null"),
        (_set("target", "start_id", value=3), "target.start_id: expected 0 to 2 (target.size), got 3"),
        (_set("target", "end_ids", value=[7]), "target.end_ids: expected 0 to 2 (target.size), got 7"),
        (_set("target", "end_ids", value=["\n"]), "target.end_ids[0]: expected an integer, got '\\n'"),
        (_set("target", "max_length", value=0), "target.max_length: expected 1 to 9007199254740991, got 0"),
        (_set("padding", "id", value=-1), "padding.id: expected 0 to 3 (its size), got -1"),
        (_set("padding", value=None), "padding: expected an object, got None"),
        (_set("vocabulary", "target", "unit", value=1), "vocabulary.target.unit: expected one of 'char'"),
        (_set("attention", value=1), "attention: expected true or false, got 1"),
        (_set("atention", value=True), "atention: no such field"),
        (_set("graphs", "encoder", "md5", value=""), "graphs.encoder.md5: no such field"),
        (
            _set("graphs", "gredy", value={"file": "g.onnx", "sha256": "0" * 64, "bytes": 1}),
            "graphs.gredy: no such graph",
        ),
        (_set("graphs", "encoder", "sha256", value="0" * 63), "graphs.encoder.sha256: expected 64 hexadecimal digits"),
        (_set("graphs", "encoder", "bytes", value=-1), "graphs.encoder.bytes: expected 0 to 9007199254740991, got -1"),
        (_set("graphs", "encoder", "file", value="a\\b"), "graphs.encoder.file: expected a bare file name"),
        (_set("source", "sise", value=1), "source.sise: no such field"),
        (_set("source", "size", value=2**60), "source.size: expected 1 to 9007199254740991, got 1152921504606846976"),
        (_set("target", "end_ids", value=[1, 1]), "target.end_ids[1]: expected different ids, got 1 again"),
        (_set("states", 0, "unit", value=1), "states[0].unit: no such field"),
        (_set("passes", value=["logits", 3]), "passes[1]: expected a string, got 3"),
        (_set("producers", "s2s_export", value=1), "producers.s2s_export: expected a string, got 1"),
        (_set("vocabulary", "sources", value=None), "vocabulary.sources: no such field"),
        (
            _set("vocabulary", "target", "symbols", 0, value="\ufeffa"),
            "vocabulary.target.symbols[0]: begins with a byte",
        ),
        (_set("vocabulary", "target", "symbols", 2, value="\n"), "symbols: '\\n' occurs more than once"),
    ],
)
def test_each_contradiction_is_named(bundle: Path, change: Callable[[Any], None], message: str) -> None:
    """A malformed field or a contradiction is reported by the path of the field."""
    data = copy.deepcopy(read_manifest(bundle).to_dict())
    change(data)
    with pytest.raises(BundleError) as caught:
        Manifest.from_dict(data)
    assert message in str(caught.value)


def test_the_manifest_carries_its_own_hash(bundle: Path) -> None:
    """A value that is as good as the one it replaces is found out; the order of fields and the layout don't matter."""
    path = bundle / "manifest.json"
    data, manifest = json.loads(path.read_bytes()), read_manifest(bundle)
    path.write_text(json.dumps(dict(reversed(data.items()))), encoding="utf-8")
    assert read_manifest(bundle) == manifest
    path.write_text(json.dumps({**data, "target": {**data["target"], "end_ids": [2]}}), encoding="utf-8")
    with pytest.raises(BundleError, match=r"manifest.json: sha256: the manifest was altered"):
        read_manifest(bundle)


def test_older_manifests_without_their_hash_are_read(bundle: Path) -> None:
    """Bundles were written before there was one."""
    path, manifest = bundle / "manifest.json", read_manifest(bundle)
    data = json.loads(path.read_bytes())
    del data["sha256"]
    path.write_text(json.dumps(data), encoding="utf-8")
    assert read_manifest(bundle) == manifest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": "s2s-bundle", "format": "s2s-bundle"}', "the field 'format' stands there twice"),
        (b"[" * 100_000, "not a JSON file in UTF-8"),
        (b'{"version": ' + b"1" * 5000 + b"}", "not a JSON file in UTF-8"),
        (b'{"format": "\\ud800"}', "not a JSON file in UTF-8"),
    ],
)
def test_json_that_readers_differ_on_is_refused(bundle: Path, content: bytes, message: str) -> None:
    """A field given twice, depth and numbers without end, half a character: one error that names the file."""
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)
    assert "manifest.json: " in str(caught.value)
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
