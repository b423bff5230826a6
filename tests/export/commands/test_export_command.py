"""`s2s-export` as a person meets it: what it writes, and one clear line for everything that can be wrong."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import pytest
from architectures.recurrent import canonical, gru_reset_after
from export_command import SOURCE, TARGET, fails, run
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a masked model and its vocabulary, as training leaves them."""
    folder = tmp_path_factory.mktemp("run")
    model = gru_reset_after()
    randomise(model)
    model.save(folder / "model.keras")
    VocabularyFile(SOURCE, TARGET, PaddingPolicy(True, 0), 9).write(folder / "vocab.json")
    return folder


@pytest.fixture
def run_folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "run"))


def test_writes_a_bundle_beside_the_model(run_folder: Path) -> None:
    """The shortest command: vocabulary found, bundle verified, text decoded."""
    code, output, errors = run(run_folder / "model.keras")
    assert code == 0, errors
    assert all(part in output for part in ("beam 5", "states", "memories", "parameters", "near ties"))
    assert "1 GRU" not in output
    model = s2s_runtime.load(run_folder / "model.s2s")
    (result,) = model.generate(["abc"])
    assert set(result.text) <= set("ABCDEFGH")
    found = model.manifest.verification
    assert found["passed"] is True
    assert found["states"] == 1
    assert found["sequences"] > 20
    assert 0 < found["largest_difference"] < 1e-4
    assert set(found["parameters"]) == {"encoder", "decoder"}
    assert "1 GRU" in found["nodes"]["encoder"]
    assert not list(run_folder.glob(".*tmp*"))


def test_json_report(run_folder: Path) -> None:
    """`--json` prints one document for programs."""
    code, output, _ = run(run_folder / "model.keras", "-o", run_folder / "other.s2s", "--json")
    assert code == 0
    report = json.loads(output)
    assert report["bundle"].endswith("other.s2s")
    assert report["verification"]["passed"] is True


def test_verifies_with_given_text(run_folder: Path) -> None:
    """Sentences of a file take the place of generated sources."""
    (run_folder / "lines.txt").write_text("abc\n\nkkk\n", encoding="utf-8")
    code, output, _ = run(run_folder / "model.keras", "--verify-with", run_folder / "lines.txt")
    assert code == 0
    assert "2 sentences given" in output


@pytest.mark.parametrize("count", [1, 30])
def test_verifies_with_as_many_generated_sources_as_asked_for(run_folder: Path, count: int) -> None:
    """All of them are decoded, as the counts of the checks in report and manifest say; with int8 they are measured."""
    code, output, errors = run(run_folder / "model.keras", "--verify-sources", count, "--quantize", "int8")
    assert code == 0, errors
    words = "1 generated source" if count == 1 else f"{count} generated sources"
    assert f"Graphs equal Keras, on {words}" in " ".join(output.split())
    found = s2s_runtime.load(run_folder / "model.s2s").manifest.verification
    assert (found["inputs"], found["quantization"]["inputs"]) == (words, words)
    assert {each["sentences"] for each in found["quantization"]["searches"]} == {count}
    compared = {check["what"]: check["compared"] for check in found["checks"]}
    assert compared["greedy, one mixed batch"] == compared["greedy, step by step"] == count
    assert compared["greedy, a large batch"] == 3 * count
    assert compared["beam 5, one mixed batch"] == min(count, 8)


def test_a_number_of_sources_to_verify_with_that_says_nothing(run_folder: Path) -> None:
    """None at all, beside texts that are given, or where nothing is verified: refused, with what it needs."""
    model = run_folder / "model.keras"
    wrong = "error: --verify-sources: expected an integer from 1 to 100000, got 0\n"
    assert run(model, "--verify-sources", "0") == (2, "", wrong)
    code, _, errors = run(model, "--verify-sources", "9", "--dry-run")
    assert (code, errors.strip()) == (2, "error: --verify-sources: no effect with --dry-run")
    (run_folder / "lines.txt").write_text("abc\nkkk\n", encoding="utf-8")
    arguments = [model, "--verify-sources", "9", "--verify-with", run_folder / "lines.txt"]
    fails(arguments, "verify_sources: needs generated sources, got 2 texts to verify with")


def test_texts_to_verify_with_that_do_not_fit(tmp_path: Path, run_folder: Path) -> None:
    """A line longer than what the model reads is shown with its length and the limit; no lines at all are an error."""
    canonical().save(tmp_path / "model.keras")
    source = Vocabulary("char", tuple("abcdefghijklm"))
    VocabularyFile(
        source, Vocabulary("char", tuple("\t\nABCDEFGHI"), start="\t", end="\n"), PaddingPolicy(False)
    ).write(tmp_path / "vocab.json")
    lines = tmp_path / "lines.txt"
    lines.write_text("abc\n\nabcdefgh\tABC\n", encoding="utf-8")
    said = "--verify-with: 'abcdefgh' has 8 symbols, but the model reads at most 6; leave the line out"
    arguments = [tmp_path / "model.keras", "--source-length", "6", "--padding", "zeros", "--max-length", "5"]
    fails([*arguments, "--verify-with", lines, "--quantize", "int8"], said)
    lines.write_text("abc\nabcdefgh\n", encoding="utf-8")
    fails([*arguments, "--verify-with", lines], said)
    lines.write_text("\n \n", encoding="utf-8")
    fails(
        [run_folder / "model.keras", "--verify-with", lines], f"{lines}: no texts to verify with; expected one a line"
    )


def test_dry_run_writes_nothing(run_folder: Path) -> None:
    """`--dry-run` shows encoder, decoder and what crosses."""
    before = sorted(run_folder.iterdir())
    code, output, _ = run(run_folder / "model.keras", "--dry-run")
    assert code == 0
    assert all(part in output for part in ("encoder (once per sentence)", "decoder (once per token)", "state.0"))
    assert sorted(run_folder.iterdir()) == before


def test_existing_bundle_is_kept(run_folder: Path) -> None:
    """An existing output is replaced with --force only, and only where it is a bundle."""
    bundle = run_folder / "model.s2s"
    bundle.mkdir()
    fails([run_folder / "model.keras"], "exists already; choose another place, or replace it with --force")
    (bundle / "precious.txt").write_text("mine", encoding="utf-8")
    fails([run_folder / "model.keras", "--force"], "exists and is no bundle; --force replaces bundles only")
    assert (bundle / "precious.txt").is_file()


def test_force_replaces_a_bundle(run_folder: Path) -> None:
    """With --force the old bundle makes way, and only once the new one is verified."""
    assert run(run_folder / "model.keras")[0] == 0
    marker = run_folder / "model.s2s" / "old"
    marker.touch()
    fails([run_folder / "model.keras", "--force", "--start-id", "99"], "expected 0 to 10")
    assert marker.is_file()
    code, output, _ = run(run_folder / "model.keras", "--force", "--verbose")
    assert code == 0
    assert "1 GRU" in output  # --verbose lists the nodes by their types
    assert not marker.exists()


def test_bad_files(tmp_path: Path) -> None:
    """A missing file, and one that Keras did not write."""
    fails([tmp_path / "none.keras"], "none.keras: no such file; expected a model saved by Keras")
    (tmp_path / "text.keras").write_text("hello", encoding="utf-8")
    fails([tmp_path / "text.keras", "--start-id", "1"], "no Keras model; expected a .keras archive or an .h5 file")


@pytest.mark.parametrize("member", ["metadata.json", "config.json", "model.weights.h5"])
def test_damaged_archive(run_folder: Path, member: str) -> None:
    """Bytes that changed inside a .keras file are an error of the file, whichever part they are in."""
    path = run_folder / "model.keras"
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    content = bytearray(path.read_bytes())
    begins = info.header_offset + 30 + len(info.filename.encode()) + info.compress_size // 2
    content[begins : begins + 4] = bytes(byte ^ 0xFF for byte in content[begins : begins + 4])
    path.write_bytes(content)
    fails([path], "the archive is damaged (")


def test_vocabulary_that_does_not_fit(run_folder: Path) -> None:
    """Both numbers are shown."""
    small = Vocabulary("char", ("<pad>", "\t", "\n", "A"), padding="<pad>", start="\t", end="\n")
    VocabularyFile(SOURCE, small, PaddingPolicy(True, 0), 9).write(run_folder / "vocab.json")
    fails([run_folder / "model.keras"], "the target vocabulary has 4 symbols but the model gives 11 probabilities")
    large = Vocabulary("char", tuple("abcdefghijklmno"))
    VocabularyFile(large, TARGET, PaddingPolicy(True, 0), 9).write(run_folder / "vocab.json")
    fails([run_folder / "model.keras"], f"the source vocabulary has {len(large)} symbols but the model reads 13")


def test_vocabulary_that_is_no_vocabulary(run_folder: Path) -> None:
    """A malformed vocab.json is named with its fields."""
    (run_folder / "vocab.json").write_text("{}", encoding="utf-8")
    fails([run_folder / "model.keras"], "vocab.json: format: expected 's2s-vocabulary'")


def test_start_token_has_to_be_known(run_folder: Path) -> None:
    """Without a vocabulary the first token can't be guessed."""
    (run_folder / "vocab.json").unlink()
    fails([run_folder / "model.keras"], "the first token fed to the decoder is unknown")


def test_padded_length_has_to_be_known(tmp_path: Path) -> None:
    """A model without a mask decodes the same only when padded as in training."""
    model = canonical()
    model.save(tmp_path / "model.keras")
    arguments = [tmp_path / "model.keras", "--start-id", "1", "--end-id", "2", "--max-length", "6"]
    fails(arguments, "this model reads its padding (it has no mask)")
    code, output, errors = run(*arguments, "--source-length", "6", "--padding", "zeros")
    assert code == 0, errors
    assert "padded to 6 with rows of zeros" in " ".join(output.split())


def test_verification_failure_writes_nothing(run_folder: Path) -> None:
    """Where the graphs differ from Keras by more than allowed, there is no bundle."""
    fails([run_folder / "model.keras", "--atol", "1e-12"], "do not give what Keras gives, nothing was written")
    assert not (run_folder / "model.s2s").exists()
    assert not list(run_folder.glob(".model*"))


def test_options_out_of_range(run_folder: Path) -> None:
    """Options are checked before TensorFlow is imported."""
    code, _, errors = run(run_folder / "model.keras", "--atol", "2")
    assert (code, errors) == (2, "error: --atol: expected a number above 0 and at most 0.1, got 2.0\n")
    fails([run_folder / "model.keras", "--padding-side", "up"], "padding_side: expected 'right' or 'left', got 'up'")
    assert run(run_folder / "model.keras", "--opset", "3")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "3", "--unit", "word"], "--rows: needs --pairs; --unit: needs --pairs"),
        (["--dry-run", "--json"], "--json: no effect with --dry-run"),
        (["--dry-run", "--verify-with", "x"], "--verify-with: no effect with --dry-run"),
        (["--dry-run", "--atol", "1e-3", "--force"], "--atol: no effect with --dry-run; --force: no effect with"),
        (["--model-fn", "a:b", "--trust-lambda"], "--trust-lambda: no effect with --model-fn"),
    ],
)
def test_options_without_effect_are_refused(run_folder: Path, arguments: list[str], message: str) -> None:
    """Wrong usage, before anything is read."""
    code, _, errors = run(run_folder / "model.keras", *arguments)
    assert code == 2
    assert message in " ".join(errors.replace("│", " ").split())


def test_texts_have_to_be_utf_8(run_folder: Path) -> None:
    """Those to verify with, and pairs, each in one line that names the file."""
    latin = run_folder / "latin.tsv"
    latin.write_bytes("é\tè\n".encode("latin-1"))
    for option in ("--verify-with", "--vocab-from"):
        fails([run_folder / "model.keras", option, latin], f"{latin}, line 1: not UTF-8")


def test_options_for_other_sources(run_folder: Path) -> None:
    """A source of ids holds no vectors."""
    fails(
        [run_folder / "model.keras", "--source-kind", "one-hot"], "--source-kind one-hot: the source is ids, not vect"
    )


def test_lambda_needs_trust(tmp_path: Path) -> None:
    """Python code in a file runs only when it is allowed to."""
    base = canonical()
    doubled = layers.Lambda(lambda x: x * 2)(base.layers[-2].output[0])
    model = keras.Model(base.inputs, layers.Dense(11, activation="softmax")(doubled))
    model.save(tmp_path / "model.keras")
    arguments = [tmp_path / "model.keras", "--start-id", "1", "--end-id", "2", "--max-length", "5"]
    arguments += ["--source-length", "6", "--padding", "zeros"]
    fails(
        arguments, f'it holds a Lambda layer ("{doubled._keras_history.operation.name}"), whose Python code would run'
    )
    assert run(*arguments, "--trust-lambda")[0] == 0


def test_custom_objects_have_to_be_importable(run_folder: Path) -> None:
    """`--custom-objects` takes module:Name."""
    fails([run_folder / "model.keras", "--custom-objects", "nonsense"], "expected module:Name, got 'nonsense'")
    fails([run_folder / "model.keras", "--custom-objects", "no_module:X"], "can't be imported")


def test_python_function(tmp_path: Path) -> None:
    """The command is a function: a model in memory becomes a bundle."""
    from s2s_export import ExportOptions, export

    model = gru_reset_after()
    exported = export(model, tmp_path / "m.s2s", ExportOptions(start_id=1, end_ids=(2,), max_length=5))
    assert exported.report.passed
    assert isinstance(model, keras.Model)
    assert len(s2s_runtime.load(tmp_path / "m.s2s").generate([[3, 4, 5], [6]], max_length=5)) == 2


def test_masked_source_of_one_length(tmp_path: Path) -> None:
    """A training model that reads padded rows of one length, and masks them, is verified on rows of that length."""
    from s2s_export import ExportOptions, export

    source, target = keras.Input((6,), dtype="int32"), keras.Input((None,), dtype="int32")
    _, state = layers.GRU(8, return_state=True)(layers.Embedding(9, 4, mask_zero=True)(source))
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=state)
    model = keras.Model([source, target], layers.Dense(9)(y))
    randomise(model)
    exported = export(model, tmp_path / "m.s2s", ExportOptions(start_id=1, end_ids=(2,), max_length=5))
    assert exported.manifest.padding.masked
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    few, many = (bundle.generate([row])[0].ids for row in ([3, 4], [3, 4, 0, 0, 0, 0]))
    assert few == many


def test_tokens_of_no_probability(tmp_path: Path) -> None:
    """A token that Keras's float32 softmax rounds to probability 0 is compared as the unlikely token it is."""
    from s2s_export import ExportOptions, export

    model = gru_reset_after()
    randomise(model)
    bias = model.layers[-1].bias
    bias.assign(keras.ops.convert_to_numpy(bias) - 120.0 * (keras.ops.convert_to_numpy(keras.ops.arange(11)) == 5))
    options = ExportOptions(start_id=1, end_ids=(2,), max_length=5)
    assert export(model, tmp_path / "m.s2s", options).report.passed
