"""Vocabularies that no file beside the model holds, rebuilt from pairs."""

import gzip
from pathlib import Path

import keras
import pytest
from architectures.parts import UNITS
from export_command import fails, run
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export.errors import ExportError
from s2s_export.understand.vocabularies import PairsRecipe, unescape, vocabularies_from_pairs

pytestmark = pytest.mark.tensorflow

PAIRS = "Go.\tVa !\tCC-BY\nHi.\tSalut.\tCC-BY\nRun!\tCours\u202f!\tCC-BY\nWow!\tÇa alors !\n"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A file of sentence pairs as the tutorials read it."""
    path = tmp_path / "fra.txt"
    path.write_text(PAIRS, encoding="utf-8")
    return path


def test_sorted_characters_of_the_first_rows(pairs: Path) -> None:
    """Ids are positions in the sorted set of characters of the first rows, the wrappers among the target's."""
    file, longest = vocabularies_from_pairs(pairs, PairsRecipe(rows=3, start="\t", end="\n"))
    assert file.source.symbols == tuple(sorted(set("Go.Hi.Run!")))
    assert file.target.symbols == tuple(sorted(set("\t\nVa !Salut.Cours\u202f!")))
    assert (file.target.start, file.target.end) == ("\t", "\n")
    assert longest == len("Run!")
    assert file.max_length == len("Cours\u202f!") + 1


def test_words(pairs: Path) -> None:
    """Other units cut rows into words."""
    file, longest = vocabularies_from_pairs(pairs, PairsRecipe(rows=2, unit="word", start="<s>", end="</s>"))
    assert file.target.symbols == ("!", ".", "</s>", "<s>", "Salut", "Va")
    assert longest == 2


def test_ends_of_lines(tmp_path: Path) -> None:
    """Lines that end as on Windows give the same vocabularies: their ends are no symbols."""
    recipe = PairsRecipe(start="\t", end="\n")
    unix, windows = tmp_path / "unix.tsv", tmp_path / "windows.tsv"
    unix.write_bytes(b"Go.\tVa\nHi.\tSalut\n")
    windows.write_bytes(b"Go.\tVa\r\nHi.\tSalut\r\n\r\n")
    assert vocabularies_from_pairs(windows, recipe) == vocabularies_from_pairs(unix, recipe)


def test_escapes() -> None:
    """Tabs and line feeds can be typed in any shell."""
    assert [unescape(text) for text in (r"\t", r"\n", r"\s", "x", None)] == ["\t", "\n", " ", "x", None]


def test_pairs_as_people_have_them(tmp_path: Path) -> None:
    """Packed, in another encoding, with line ends of old Macs: the same; empty targets count, as in scripts."""
    rows = "Go.\tVa\nHé.\t\n"
    plain, packed, old = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    plain.write_text(rows, encoding="utf-8")
    packed.write_bytes(gzip.compress(rows.encode("utf-16")))
    old.write_bytes(rows.replace("\n", "\r").encode())
    expected = vocabularies_from_pairs(plain, PairsRecipe())
    assert set("é") < set(expected[0].source.symbols)
    assert vocabularies_from_pairs(old, PairsRecipe()) == expected
    assert vocabularies_from_pairs(packed, PairsRecipe(encoding="utf-16")) == expected
    with pytest.raises(ExportError, match="b: it looks like UTF-16, as Excel"):
        vocabularies_from_pairs(packed, PairsRecipe())


def test_what_is_no_pairs_file(tmp_path: Path) -> None:
    """A line without a tab is shown; so is a symbol that isn't one."""
    (tmp_path / "a.tsv").write_text("one\ttwo\nthree\n", encoding="utf-8")
    with pytest.raises(ExportError, match="line 2: expected source<TAB>target, got no tab in 'three'"):
        vocabularies_from_pairs(tmp_path / "a.tsv", PairsRecipe())
    (tmp_path / "a.tsv").write_text("one\ttwo\n\nthree\n", encoding="utf-8")
    with pytest.raises(ExportError, match="line 3: expected source<TAB>target, got no tab in 'three'"):
        vocabularies_from_pairs(tmp_path / "a.tsv", PairsRecipe())
    (tmp_path / "b.tsv").write_text("\n", encoding="utf-8")
    with pytest.raises(ExportError, match="holds no pair"):
        vocabularies_from_pairs(tmp_path / "b.tsv", PairsRecipe())
    with pytest.raises(ExportError, match="start: expected one character"):
        PairsRecipe(start="<s>")


def tutorial(pairs: Path) -> keras.Model:
    file, _ = vocabularies_from_pairs(pairs, PairsRecipe(start="\t", end="\n"))
    source, target = keras.Input((None, len(file.source))), keras.Input((None, len(file.target)))
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    y = layers.LSTM(UNITS, return_sequences=True)(target, initial_state=[h, c])
    model = keras.Model([source, target], layers.Dense(len(file.target), activation="softmax")(y))
    randomise(model)
    return model


def test_export_with_pairs(pairs: Path, tmp_path: Path) -> None:
    """The tutorial's model and its pairs are all the command needs: texts decode."""
    tutorial(pairs).save(tmp_path / "m.keras")
    arguments = [tmp_path / "m.keras", "--vocab-from", pairs, "--start", r"\t", "--end", r"\n"]
    fails([*arguments, "--rows", "2"], "the target vocabulary has 11 symbols but the model gives")
    code, output, errors = run(*arguments)
    assert code == 0, errors
    assert "every source is padded to 4 with rows of zeros" in " ".join(output.split())
    model = s2s_runtime.load(tmp_path / "m.s2s")
    (result,) = model.generate(["Hi."])
    assert set(result.text) <= set(PAIRS)
    assert run(*arguments, "--force", "--vocab", pairs)[0] == 2


def test_symbols_need_a_vocabulary(pairs: Path, tmp_path: Path) -> None:
    """A start symbol without symbols to look it up in is an error."""
    tutorial(pairs).save(tmp_path / "m.keras")
    fails([tmp_path / "m.keras", "--start", r"\t"], "start: there is no target vocabulary to find them in")
