"""Loading a bundle from wherever it lies, and running it in sessions that are open already."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import TINY

import s2s_runtime
from s2s_runtime import BundleError, BundleNotFoundError, InputError, Model, OptionError, S2SError
from s2s_runtime.bundle.storage import BundleSource


def files_of(folder: Path) -> dict[str, bytes]:
    """A bundle as a mapping of names to bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def zipped(files: dict[str, bytes], folder: str = "", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file's bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
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


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_hang_when_damaged_are_refused(method: int) -> None:
    """Zip files are stored or deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files_of(TINY).items():
            archive.writestr(name, content)
    with pytest.raises(BundleError, match=rf"manifest.json is packed by method {method}, which is neither"):
        s2s_runtime.load(buffer.getvalue())


def test_a_zip_that_unpacks_to_gigabytes_is_refused() -> None:
    """A manifest, or a graph that it declares, of a few kilobytes that fill memory: refused before it is unpacked."""
    for name in ("manifest.json", "encoder.onnx"):
        bomb = zipped(files_of(TINY) | {name: bytes(64 << 20)})
        assert len(bomb) < 1 << 20
        with pytest.raises(BundleError, match=r"bytes unpack to 67,108,864|altered: 67108864"):
            s2s_runtime.load(bomb)


def test_what_macos_adds_is_passed_over(tiny: Model) -> None:
    """Its Finder puts a folder of its own beside the one it packs, with a file for each file, and hidden ones."""
    files = {f"tiny.s2s/{name}": content for name, content in files_of(TINY).items()}
    added = {f"__MACOSX/tiny.s2s/._{name}": b"\0\5\x16\7" for name in files_of(TINY)}
    added |= {"__MACOSX/._tiny.s2s": b"\0", "tiny.s2s/.DS_Store": b"", ".DS_Store": b"", "__MACOSX/manifest.json": b""}
    model = s2s_runtime.load(zipped({**added, **files}))
    assert model.generate(["abc"])[0].to_dict() == tiny.generate(["abc"])[0].to_dict()


def test_a_zip_of_two_bundles_is_refused() -> None:
    """Which one was meant isn't said."""
    two = {f"{folder}/{name}": content for folder in "ab" for name, content in files_of(TINY).items()}
    with pytest.raises(BundleError, match="expected one bundle, got several: a/, b/"):
        s2s_runtime.load(zipped(two))


@given(st.randoms(use_true_random=False), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@settings(max_examples=300, deadline=None)
def test_a_zip_damaged_anywhere_is_one_error(chance: random.Random, method: int) -> None:
    """Bytes changed, cut, doubled: the manifest is the one it was, or there is a BundleError and no other."""
    damaged = bytearray(zipped(files_of(TINY), method=method))
    for _ in range(chance.randrange(1, 4)):
        if not damaged:
            break  # cut twice, nothing is left
        place = chance.randrange(len(damaged))
        if chance.random() < 0.5:  # the directory at the end is a small part, and where most goes wrong
            place = max(0, len(damaged) - chance.randrange(1, 700))
        change = chance.choice(["set", "cut", "double", "end"])
        if change == "set":
            damaged[place] = chance.randrange(256)
        elif change == "cut":
            del damaged[place : place + chance.randrange(1, 50)]
        elif change == "double":
            damaged[place:place] = damaged[place : place + chance.randrange(1, 50)]
        else:
            del damaged[max(place, 1) :]
    try:
        found = s2s_runtime.read_manifest(bytes(damaged))
    except (BundleError, BundleNotFoundError):
        return
    assert found == s2s_runtime.read_manifest(TINY)


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
    with pytest.raises(OptionError, match=r"sessions\['decoder'\]: expected an open .*InferenceSession, got 5"):
        s2s_runtime.load(TINY, sessions={"decoder": 5})
    with pytest.raises(BundleError, match=r"sessions\['decoder'\]: the graph doesn't fit the manifest"):
        s2s_runtime.load(TINY, sessions={"decoder": session})
