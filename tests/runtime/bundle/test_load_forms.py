"""Loading a bundle from wherever it lies, and running it in sessions that are open already."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import onnxruntime
import pytest
from places import TINY

import s2s_runtime
from s2s_runtime import BundleError, BundleNotFoundError, InputError, Model, OptionError, S2SError
from s2s_runtime.bundle.storage import BundleSource


def files_of(folder: Path) -> dict[str, bytes]:
    """A bundle as a mapping of names to bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def zipped(files: dict[str, bytes], folder: str = "") -> bytes:
    """A zip file's bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(folder + name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["folder", "text", "zip", "zip of a folder", "bytes", "mapping"])
def test_every_form_gives_the_same_model(tiny: Model, tmp_path: Path, form: str) -> None:
    """Folder, zip file (flat, or holding one folder), its bytes, a mapping of names to bytes."""
    (tmp_path / "flat.zip").write_bytes(zipped(files_of(TINY)))
    (tmp_path / "folder.zip").write_bytes(zipped(files_of(TINY), "tiny.s2s/"))
    forms: dict[str, BundleSource] = {
        "folder": TINY,
        "text": str(TINY),
        "zip": tmp_path / "flat.zip",
        "zip of a folder": str(tmp_path / "folder.zip"),
        "bytes": zipped(files_of(TINY)),
        "mapping": files_of(TINY),
    }
    model = s2s_runtime.load(forms[form])
    assert model.manifest == tiny.manifest
    options = {"beam_size": 3, "return_attention": True}
    assert [r.to_dict() for r in model.generate(["abc"], **options)] == [
        r.to_dict() for r in tiny.generate(["abc"], **options)
    ]


def test_altered_files_are_found_in_every_form(tmp_path: Path) -> None:
    """Hash and size are compared wherever the files lie; missing files are named; unverified ones pass."""
    altered = files_of(TINY)
    altered["encoder.onnx"] = altered["encoder.onnx"][:-1] + bytes([altered["encoder.onnx"][-1] ^ 1])
    del altered["select_state.onnx"]
    for bundle in (altered, zipped(altered)):
        with pytest.raises(BundleError, match=r"encoder.onnx was altered: its SHA-256.*select_state.onnx is missing"):
            s2s_runtime.load(bundle)
    longer = {**files_of(TINY), "decoder.onnx": b"more"}
    with pytest.raises(BundleError, match=r"decoder.onnx was altered: 4 bytes, the manifest says 2500"):
        s2s_runtime.load(longer, verify_hashes=False)


@pytest.mark.parametrize(
    ("bundle", "error", "message"),
    [
        (b"no zip", BundleError, "the bundle's bytes: expected a bundle's folder or a zip file of one: "),
        ({}, BundleNotFoundError, "the bundle's files: no manifest.json in it"),
        (zipped({"a/x": b"", "b/x": b""}), BundleNotFoundError, "the bundle's bytes: no manifest.json in it"),
        ({"manifest.json": b"\xff"}, BundleError, "the bundle's files/manifest.json: not a JSON file in UTF-8"),
        (3, InputError, "bundle: expected a path, bytes of a zip file or a mapping of names to bytes, got 3"),
    ],
)
def test_what_is_no_bundle_is_refused(bundle: BundleSource, error: type[S2SError], message: str) -> None:
    """One line that says what came and what was expected."""
    with pytest.raises(error) as caught:
        s2s_runtime.load(bundle)
    assert message in str(caught.value)


def test_a_damaged_zip_is_refused() -> None:
    """Bytes lost inside a file, and not only at the end where the directory is."""
    damaged = bytearray(zipped(files_of(TINY)))
    damaged[200:260] = bytes(60)
    with pytest.raises(BundleError, match="the bundle's bytes: expected a bundle's folder or a zip file of one"):
        s2s_runtime.load(bytes(damaged))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    """A path to some other file, such as the manifest itself."""
    with pytest.raises(BundleError, match=r"manifest.json: expected a bundle's folder or a zip file of one"):
        s2s_runtime.load(TINY / "manifest.json")
    with pytest.raises(BundleNotFoundError, match="no such folder"):
        s2s_runtime.load(tmp_path / "nowhere")


def test_ready_sessions_are_used(tiny: Model) -> None:
    """Graphs for which a session is given run in it; their files need not be there."""
    sessions = {name: onnxruntime.InferenceSession(TINY / f"{name}.onnx") for name in ("encoder", "decoder")}
    bare = {"manifest.json": (TINY / "manifest.json").read_bytes()}
    with pytest.raises(BundleError, match=r"encoder\.onnx is missing"):
        s2s_runtime.load(bare)
    rest = {name: content for name, content in files_of(TINY).items() if name not in {"encoder.onnx", "decoder.onnx"}}
    model = s2s_runtime.load(rest, sessions=sessions)
    assert model.provider == "CPUExecutionProvider"
    assert model.generate(["abcd"], beam_size=3)[0].ids == tiny.generate(["abcd"], beam_size=3)[0].ids


def test_sessions_that_do_not_fit_are_refused() -> None:
    """Names that the bundle hasn't, and graphs with other inputs."""
    session = onnxruntime.InferenceSession(TINY / "encoder.onnx")
    with pytest.raises(OptionError, match=r"sessions: expected names among encoder, decoder, .* got coder"):
        s2s_runtime.load(TINY, sessions={"coder": session})
    with pytest.raises(BundleError, match=r"sessions\['decoder'\]: the graph doesn't fit the manifest"):
        s2s_runtime.load(TINY, sessions={"decoder": session})
