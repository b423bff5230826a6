"""Nothing in a model file runs, and no other file is read, unasked; each test brings a file that tries."""

from __future__ import annotations

import base64
import json
import logging
import marshal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from export_command import fails, run
from keras import layers
from keras_2_files import save_as_keras_2
from model_files import TOKENS, named, save_small, small_model, with_config, write_archive

from s2s_export import ModelFileError, build_model, load_model

pytestmark = pytest.mark.tensorflow

Config = dict[str, Any]


@pytest.fixture(params=[".keras", ".h5"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A sound file of either format."""
    return save_small(tmp_path / f"model{request.param}", wrapped=True)


def code_that_writes(marker: Path) -> Config:
    """Code of a function without a name, as Keras writes it, which leaves a file where it runs."""
    code = compile(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]", "evil.py", "eval").co_consts[0]
    held = {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": held}


def as_lambda(entry: Config, function: Any, **config: Any) -> None:
    """Make the layer a Lambda layer."""
    entry.update(class_name="Lambda", module="keras.layers", registered_name=None)
    entry["config"] = {"name": entry["config"]["name"], "function": function, "arguments": {}, **config}


def refuses(path: Path, *words: str) -> str:
    """The file is one error that says each of these words."""
    with pytest.raises(ModelFileError) as error:
        load_model(path)
    assert all(word in str(error.value) for word in [str(path), *words]), error.value
    return str(error.value)


def test_a_sound_file_loads(saved: Path) -> None:
    """What the tests below alter is read where it isn't altered."""
    assert load_model(saved).count_params() == small_model(wrapped=True).count_params()


@pytest.mark.parametrize("layer", ["head", "each"])  # inside a wrapper, and by itself
def test_code_in_a_lambda_does_not_run(saved: Path, tmp_path: Path, layer: str) -> None:
    """Code as Keras 3 writes it and as Keras 2 did, also inside a wrapper, is refused by the name of its layer."""
    marker = tmp_path / "ran"
    code = code_that_writes(marker)
    with_config(saved, lambda config: as_lambda(named(config, layer), code))
    refuses(saved, f'Lambda layer ("{layer}")', "--trust-lambda")
    with_config(
        saved,
        lambda config: as_lambda(named(config, layer), [code["config"]["code"], None, None], function_type="lambda"),
    )
    refuses(saved, f'Lambda layer ("{layer}")', "--trust-lambda")
    assert not marker.exists()


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_function_in_the_place_of_the_code_of_a_lambda(tmp_path: Path, ending: str) -> None:
    """As Keras 3 writes code and as Keras 2 did, also for the output's shape: of a layer that is given none runs."""
    base, path, marker = small_model(), tmp_path / f"model{ending}", tmp_path / "ran"
    inner = layers.Lambda(lambda x: x, name="scaled")
    keras.Model(base.inputs, layers.TimeDistributed(inner)(base.layers[-1].output)).save(path)
    code = code_that_writes(marker)
    old = [code["config"]["code"], None, None]
    for made in (
        {"function": code, "output_shape": code},
        {"function": old, "function_type": "lambda", "output_shape": old, "output_shape_type": "lambda"},
    ):
        with_config(path, lambda config, made=made: named(config, "scaled")["config"].update(made))
        model = load_model(path, trust_lambda=True, lambdas={"scaled": lambda x: keras.ops.tanh(x) * 0 + 0.25})
        np.testing.assert_array_equal(model([np.ones((1, 5)), np.ones((1, 5))]), np.full((1, 5, 7), 0.25))
    with pytest.raises(
        ModelFileError, match=r"no Lambda layer is called so; did you mean .*scaled.*the file has scaled"
    ):
        load_model(path, lambdas={"scales": abs})
    with pytest.raises(ModelFileError, match="expected a function, got int"):
        load_model(path, lambdas={"scaled": 3})  # type: ignore[dict-item]
    with_config(path, lambda config: named(config, "scaled")["config"].update(mask=code))
    with pytest.raises(ModelFileError, match="the layer makes a mask by code of its own"):
        load_model(path, lambdas={"scaled": abs})
    assert not marker.exists()


def test_functions_for_lambda_layers_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice of the refusal, followed: what is decoded is what the given function makes; code of another Python."""
    base = small_model()
    scaled = layers.Lambda(lambda x: x * 2.5, name="scaled")(base.layers[-1].output)
    keras.Model(base.inputs, layers.Softmax()(scaled)).save(tmp_path / "model.keras")
    (tmp_path / "by_hand.py").write_text("def scale(x):\n    return x * 2.5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    refuses(Path("model.keras"), "--lambda scaled=module:function")
    code, _, errors = run("model.keras", "--lambda", "scaled")
    assert code == 2
    assert "expected LAYER=module:function, got 'scaled'" in " ".join(errors.replace("│", " ").split())
    options = (*TOKENS, "--source-length", "5")
    code, _, errors = run("model.keras", *options, "--lambda", "scaled=by_hand:scale")
    assert code == 0, errors
    assert "runs code" not in errors
    other = {"class_name": "__lambda__", "config": {"code": "AAAA", "defaults": None, "closure": None}}
    with_config(Path("model.keras"), lambda config: named(config, "scaled")["config"].update(function=other))
    with pytest.raises(ModelFileError, match=r"code of another version of Python.*--lambda scaled=module:function"):
        load_model("model.keras", trust_lambda=True)


def test_code_elsewhere_than_in_a_lambda_does_not_run(saved: Path, tmp_path: Path) -> None:
    """Code may stand wherever a function may: as an activation, as the shape a Lambda gives."""
    marker = tmp_path / "ran"
    with_config(saved, lambda config: named(config, "head")["config"].update(activation=code_that_writes(marker)))
    refuses(saved, "--trust-lambda")
    assert not marker.exists()


def test_trust_says_what_runs_before_it_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The layer, and where its code stands, with the names and constants that it uses."""
    base = small_model()
    doubled = layers.Lambda(lambda x: abs(x) * 2.5, name="scaled")(base.layers[-1].output)
    keras.Model(base.inputs, layers.Softmax()(doubled)).save(tmp_path / "model.keras")
    with caplog.at_level(logging.WARNING, logger="s2s_export"):
        load_model(tmp_path / "model.keras", trust_lambda=True)
    (said,) = [record.getMessage() for record in caplog.records]
    assert 'layer "scaled" runs code of this file' in said
    assert "lambda x of" in said
    assert f"{Path(__file__).name}:" in said
    assert "abs" in said
    assert "2.5" in said
    code, _, errors = run(tmp_path / "model.keras", *TOKENS, "--source-length", "5", "--trust-lambda", "--quiet")
    assert code == 0, errors
    assert 'layer "scaled" runs code of this file' in errors


def test_no_saved_model_is_read(saved: Path, tmp_path: Path) -> None:
    """A TFSMLayer names a folder whose graph it runs; no bundle can hold one, so no option allows it."""
    for layer in ("head", "each"):
        for spelt in ("TFSMLayer", "layers.TFSMLayer"):
            layer_of_a_folder = {"name": layer, "filepath": str(tmp_path / "elsewhere"), "call_endpoint": "serve"}
            with_config(
                saved,
                lambda config, name=layer, kind=spelt, inner=layer_of_a_folder: named(config, name).update(
                    class_name=kind, module="keras.layers" if kind == "TFSMLayer" else "keras", config=inner
                ),
            )
            assert "SavedModel" in refuses(saved, "TFSMLayer")
            with pytest.raises(ModelFileError, match="TFSMLayer"):
                load_model(saved, trust_lambda=True)


def test_nothing_is_imported_because_a_file_says_so(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class by its import path is refused with the option that allows it; its module isn't imported."""
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with_config(
        saved,
        lambda config: named(config, "head").update(
            class_name="Layer", module="evil_module", registered_name="evil>Layer"
        ),
    )
    refuses(saved, "--custom-objects evil_module:Layer")
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("keras.models", "load_model"), ("keras.utils", "get_file"), ("keras.config", "set_floatx")],
)
def test_functions_do_nothing_but_compute(saved: Path, module: str, name: str) -> None:
    """A Lambda layer, or an activation, of a function that isn't one of Keras's operations is refused."""
    function = {"class_name": "function", "module": module, "config": name, "registered_name": name}
    with_config(saved, lambda config: as_lambda(named(config, "head"), function))
    refuses(saved, f"--custom-objects {module}:{name}")
    as_class = {"class_name": name, "module": module, "config": {}, "registered_name": None}  # Keras gives the function
    with_config(saved, lambda config: as_lambda(named(config, "head"), as_class))
    refuses(saved, f"--custom-objects {module}:{name}")


def halved(x: Any) -> Any:
    return x / 2


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_functions_of_keras_and_of_the_caller_run(tmp_path: Path, ending: str) -> None:
    """A Lambda layer of an operation of Keras's is no code of the file, nor is one of a function that is handed in."""
    base, path = small_model(), tmp_path / f"model{ending}"
    y = layers.Lambda(halved, name="halved")(layers.Lambda(keras.ops.tanh)(base.layers[-1].output))
    keras.Model(base.inputs, layers.Softmax()(y)).save(path)
    refuses(path, "give it with --custom-objects")
    assert load_model(path, custom_objects={"halved": halved}).get_layer("halved").function is halved


def test_no_vocabulary_is_read_from_a_path(tmp_path: Path) -> None:
    """A look-up layer may name a file of symbols: any file of this machine."""
    secret = tmp_path / "secret.txt"
    secret.write_text("a\nb\n", encoding="utf-8")
    looked_up = layers.StringLookup(vocabulary=["a", "b"], name="looked up")
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((None,), dtype="string"), looked_up]).save(path)
    with_config(path, lambda config: named(config, "looked up")["config"].update(vocabulary=str(secret)))
    refuses(path, str(secret), "vocabulary=[...]")


def hdf5_of(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Alter the weights in a file in place."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    inner = path.with_suffix(".weights")
    inner.write_bytes(held["model.weights.h5"])
    hdf5_of(inner.rename(inner.with_suffix(".h5")), change)
    write_archive(path, held | {"model.weights.h5": inner.with_suffix(".h5").read_bytes()})


def first_bias(file: h5py.File) -> h5py.Dataset:
    """A data set of the weights."""
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return next(item for item in found if item.ndim == 1)


def test_no_other_hdf5_file_is_read(saved: Path, tmp_path: Path) -> None:
    """A link to a group of another file, data kept in another file, and data composed of other files."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(12.0, dtype="float32")
    sound = saved.read_bytes()

    def link(file: h5py.File) -> None:
        file["more"] = h5py.ExternalLink(str(other), "/secret")

    def outside(file: h5py.File) -> None:
        bias = first_bias(file)
        name, size = bias.name, bias.size
        del file[name]
        file.create_dataset(name, (size,), "float32", external=[(str(other), 0, 4 * size)])

    def composed(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((12,), "float32")
        layout[:] = h5py.VirtualSource(other, "secret", (12,))
        file.create_virtual_dataset("composed", layout)

    def by_name(file: h5py.File) -> None:
        file["again"] = h5py.SoftLink(first_bias(file).name)

    for change, words in ((link, "a link to another file"), (outside, "another file"), (composed, "another file")):
        saved.write_bytes(sound)
        hdf5_of(saved, change)
        refuses(saved, words)
    saved.write_bytes(sound)
    hdf5_of(saved, by_name)
    refuses(saved, "a link by name")


def test_a_cudnn_file_of_keras_2_writes_into_no_other_file(tmp_path: Path) -> None:
    """Its weights are put into another layout in a copy; a link in it led into the other file, which was altered."""
    path, other = tmp_path / "model.h5", tmp_path / "other.h5"
    save_as_keras_2(small_model(), path, cudnn=True)
    with h5py.File(other, "w") as file:
        for name, shape in (("kernel", (4, 12)), ("recurrent_kernel", (3, 12)), ("bias", (24,))):
            file[f"{name}:0"] = np.ones(shape, "float32")
    before = other.read_bytes()
    with h5py.File(path, "r+") as file:
        file["model_weights/linked"] = h5py.ExternalLink(str(other), "/")
    refuses(path, "a link to another file")
    with pytest.raises(ModelFileError, match="a link to another file"):
        build_model("model_files:small_model", path)
    assert other.read_bytes() == before


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "assets/../../evil", "..\\evil", "C:\\evil"])
def test_no_entry_leaves_the_archive(tmp_path: Path, name: str) -> None:
    """Names that lead out of the folder that an archive is unpacked into, on this system or another."""
    path = save_small(tmp_path / "model.keras")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"evil")
    refuses(path, "outside of the archive")
    assert sorted(entry.name for entry in tmp_path.parent.glob("evil*")) == []


def test_links_and_names_given_twice_are_refused(tmp_path: Path) -> None:
    """A symbolic link in an archive, and an entry that two readers may take differently."""
    path = save_small(tmp_path / "model.keras")
    sound = path.read_bytes()
    link = zipfile.ZipInfo("assets")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, b"/etc")
    refuses(path, "symbolic link")
    path.write_bytes(sound)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", b"{}")
    refuses(path, "2 times")


def test_two_formats_in_one_file_are_refused(tmp_path: Path) -> None:
    """An HDF5 file with an archive behind it: what is checked has to be what Keras reads."""
    path, archive = save_small(tmp_path / "model.h5"), save_small(tmp_path / "model.keras")
    path.write_bytes(path.read_bytes() + archive.read_bytes())
    refuses(path, "HDF5")


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5", "assets/more"])
def test_no_bomb_goes_off(tmp_path: Path, name: str) -> None:
    """An entry that unpacks to a thousand times as much, as 1 MB to a gigabyte, is refused before it is unpacked."""
    path = save_small(tmp_path / "model.keras")
    with zipfile.ZipFile(path) as archive:
        held = {entry: archive.read(entry) for entry in archive.namelist() if entry != name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in held.items():
            archive.writestr(entry, content)
        with archive.open(name, "w", force_zip64=True) as opened:
            for _ in range(8):
                opened.write(bytes(16 << 20))
    assert path.stat().st_size < 2 << 20
    refuses(path, name, "134,217,728")


def test_no_data_set_fills_memory(saved: Path) -> None:
    """A data set that declares 4 TB and stores nothing, and one of zeros that are packed a thousandfold."""
    sound = saved.read_bytes()
    hdf5_of(saved, lambda file: file.create_dataset("bomb", (1 << 40,), "float32", chunks=(1 << 20,)))
    refuses(saved, "4,398,046,511,104")
    saved.write_bytes(sound)
    packed = np.zeros((40 << 20,), "float32")
    hdf5_of(saved, lambda file: file.create_dataset("bomb", data=packed, chunks=(1 << 20,), compression="gzip"))
    refuses(saved, "167,772,160")


def test_a_configuration_as_deep_as_a_well_is_one_error(saved: Path) -> None:
    """JSON nested too deeply to be read raises what Python raises for that, which is no message for a person."""
    deep = "[" * 100_000 + "]" * 100_000
    if saved.suffix == ".h5":
        with h5py.File(saved, "r+") as file:
            file.create_dataset("text", data=0)
            file.attrs["model_config"] = '{"class_name": "Functional", "config": []}'
        refuses(saved, "Keras could not load it")
        return
    with zipfile.ZipFile(saved) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    write_archive(saved, held | {"config.json": deep.encode()})
    refuses(saved, "recursion")


def test_the_command_says_it_in_one_line(saved: Path, tmp_path: Path) -> None:
    """Every refusal is the command's error, and nothing is written."""
    with_config(saved, lambda config: as_lambda(named(config, "head"), code_that_writes(tmp_path / "ran")))
    fails([saved, *TOKENS, "--source-length", "5"], "whose Python code would run")
    assert not saved.with_suffix(".s2s").exists()
    assert json.dumps([file.name for file in tmp_path.iterdir() if file.suffix != saved.suffix]) == "[]"
