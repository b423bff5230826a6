"""What is a text, what is a row of ids, and what is neither: whatever callers have in hand is read as they mean it."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest
from places import FIXTURES

import s2s_runtime
from s2s_runtime import Decoder, InputError, Model, OptionError

TEXTS = ["abc", "de", "edcba"]


class Series(list[Any]):
    """A column as pandas and polars have it: a list, and no other type known here."""

    ndim = 1

    def to_list(self) -> list[Any]:
        """The values."""
        return list(self)


class Scalar:
    """A value as Arrow has it."""

    def __init__(self, value: object) -> None:
        self.value = value

    def as_py(self) -> object:
        """Python's value."""
        return self.value


class Table:
    """Named columns, over whose names Python iterates."""

    columns = ("question", "answer")
    shape = (3, 2)

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __len__(self) -> int:
        return 3


class NAType:
    """What pandas has for a missing value."""


def texts_of(model: Model, inputs: Any) -> list[str]:
    """Best texts."""
    return [result.text for result in model.generate(inputs)]


COLUMNS = {
    "object": lambda: np.array(TEXTS, object),
    "U": lambda: np.array(TEXTS),
    **({"StringDType": lambda: np.array(TEXTS, np.dtypes.StringDType())} if hasattr(np.dtypes, "StringDType") else {}),
    "column": lambda: Series(TEXTS),
    "scalars": lambda: [Scalar(text) for text in TEXTS],
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: (text for text in TEXTS),
    "dictionary's values": lambda: dict(enumerate(TEXTS)).values(),
    "pandas object": lambda: pytest.importorskip("pandas").Series(TEXTS, dtype=object),
    "pandas": lambda: pytest.importorskip("pandas").Series(TEXTS),
    "pandas string": lambda: pytest.importorskip("pandas").Series(TEXTS, dtype="string"),
    "pandas index": lambda: pytest.importorskip("pandas").Index(TEXTS),
    "pandas column": lambda: pytest.importorskip("pandas").DataFrame({"text": TEXTS})["text"],
    "arrow": lambda: pytest.importorskip("pyarrow").array(TEXTS),
    "arrow large": lambda: pytest.importorskip("pyarrow").array(TEXTS, "large_string"),
    "arrow chunks": lambda: pytest.importorskip("pyarrow").chunked_array([TEXTS[:1], TEXTS[1:]]),
    "arrow dictionary": lambda: pytest.importorskip("pyarrow").array(TEXTS).dictionary_encode(),
    "arrow values": lambda: list(pytest.importorskip("pyarrow").array(TEXTS)),
    "arrow column": lambda: pytest.importorskip("pyarrow").table({"text": TEXTS})["text"],
    "polars": lambda: pytest.importorskip("polars").Series(TEXTS),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_texts_are_texts(tiny: Model, kind: str) -> None:
    """By every verb that takes a list, whatever holds the texts."""
    expected = texts_of(tiny, TEXTS)
    assert texts_of(tiny, COLUMNS[kind]()) == expected
    assert [result.text for result in tiny.generate_iter(COLUMNS[kind]())] == expected
    assert len(tiny.score(TEXTS, COLUMNS[kind]())) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: [np.array(row, np.int8) for row in rows],
        lambda rows: [array.array("q", row) for row in rows],
        lambda rows: [range(row[0], row[-1] + 1) for row in rows],
        Series,
        lambda rows: [Scalar(row) for row in rows],
        lambda rows: pytest.importorskip("pyarrow").array(rows),
        lambda rows: [pytest.importorskip("pyarrow").array(row) for row in rows],
        lambda rows: pytest.importorskip("pandas").Series(rows),
        lambda rows: [pytest.importorskip("pandas").Series(row) for row in rows],
    ],
)
def test_rows_of_ids_are_rows_of_ids(tiny: Model, make: Any) -> None:
    """However a row holds them."""
    rows = [[2, 3, 4], [3, 4]]
    assert [result.ids for result in tiny.generate(make(rows))] == [result.ids for result in tiny.generate(rows)]


WRONG = {
    "bytes": (b"abc", r"inputs: expected a list, an array or a column, got bytes; .*decode"),
    "bytearray": (bytearray(b"\2\3"), r"inputs: expected a list, an array or a column, got bytearray"),
    "memoryview": (memoryview(b"\2\3"), r"inputs: expected a list, an array or a column, got memoryview"),
    "table": (Table(), r"inputs: expected a list, an array or a column, got a table \(Table\); .*table\['question'\]"),
    "set": ({"abc", "de"}, r"inputs: expected a list, got a set, which has no order; give sorted"),
    "text": ("abc", r"inputs: expected a list of texts, got one text 'abc'; put it in a list"),
    "number": (5, r"inputs: expected a list, an array or a column, got int 5"),
    "none": (None, r"inputs: expected a list, an array or a column, got NoneType None"),
    "single": (np.array("abc"), r"inputs: expected a list, an array or a column, got ndarray"),
    "masked": (np.ma.masked_equal([[2, 3]], 3), r"inputs: expected a list, an array or a column, got a masked array"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_list_is_refused(tiny: Model, kind: str) -> None:
    """With what to give instead, by every verb, before anything runs."""
    given, message = WRONG[kind]
    for verb in (tiny.generate, tiny.generate_iter, tiny.encode):
        with pytest.raises(InputError, match=message):
            verb(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message.replace("inputs", "targets")):
        tiny.score(["abc"], given)  # type: ignore[arg-type]


ROWS = {
    "bytes": (b"abc", r"expected texts, or ids: .*, got bytes"),
    "numpy bytes": (np.bytes_(b"abc"), r"expected texts, or ids: .*, got bytes_"),
    "bytearray": (bytearray(b"\2\3"), r"expected texts, or ids: .*, got bytearray"),
    "memoryview": (memoryview(b"\2\3"), r"expected texts, or ids: .*, got memoryview"),
    "none": (None, r"expected texts, or ids: .*, got a missing value \(None\)"),
    "nan": (float("nan"), r"expected texts, or ids: .*, got a missing value \(nan\)"),
    "pandas' missing value": (NAType(), r"expected texts, or ids: .*, got a missing value"),
    "arrow's missing value": (Scalar(None), r"expected texts, or ids: .*, got a missing value"),
    "set": ({2, 3}, r"expected texts, or ids: .*, got set"),
    "masked": (np.ma.masked_equal([2, 3], 3), r"expected texts, or ids: .*, got a masked array"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_no_row_is_refused(tiny: Model, kind: str) -> None:
    """The message says which row."""
    row, message = ROWS[kind]
    with pytest.raises(InputError, match=r"inputs\[1\]: " + message):
        tiny.generate([[2, 3], row])
    with pytest.raises(InputError, match=r"inputs\[0\]: " + message):
        tiny.stream(row)  # type: ignore[arg-type]
    with Decoder(tiny) as decoder, pytest.raises(InputError, match=r"inputs\[0\]: " + message):
        decoder.submit(row)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [b"\2\3", bytearray(b"\2\3"), memoryview(b"\2\3")])
def test_bytes_are_no_tokens(tiny: Model, given: Any) -> None:
    """Neither of a target nor of an option."""
    with pytest.raises(InputError, match=r"targets\[0\]: expected a text or a list of ids, got"):
        tiny.score(["abc"], [given])
    for option in ("suppress_tokens", "end_tokens", "prefix"):
        with pytest.raises(OptionError, match=f"{option}: expected"):
            tiny.generate(["abc"], **{option: given})
    with pytest.raises(OptionError, match=r"prefix\[0\]: expected a list of tokens"):
        tiny.generate(["abc"], prefix=[given])


@pytest.mark.parametrize("make", ["pandas", "pyarrow", "polars"])
def test_tables_are_refused(tiny: Model, make: str) -> None:
    """Those of the libraries themselves."""
    library = pytest.importorskip(make)
    table = (library.table if make == "pyarrow" else library.DataFrame)({"text": TEXTS, "other": TEXTS})
    with pytest.raises(InputError, match=r"inputs: .* got a table .* such as table\['text'\]"):
        tiny.generate(table)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_that_are_not_finite_are_refused(wrong: float, dtype: type) -> None:
    """In a source of values and in the first value fed; the message says where, and the rows beside it decode."""
    model = s2s_runtime.load(FIXTURES / "tiny-values.s2s")
    size = model.manifest.source.size
    with np.errstate(over="ignore"):
        rows = np.full((3, 4, size), 0.5).astype(dtype)
        rows[1, 2, size - 1] = wrong
    for given in (rows, list(rows), [row.tolist() for row in rows]):
        with pytest.raises(InputError, match=rf"inputs\[1\]: expected finite numbers .*at step 2, feature {size - 1}"):
            model.predict(given)
    with pytest.raises(InputError, match=r"start\[0\]: expected finite numbers"):
        model.predict(rows[:1], start=np.full(model.manifest.target.size, wrong))
    assert np.isfinite(model.predict(rows[[0, 2]])).all()


def test_what_starts_a_prediction_is_numbers() -> None:
    """Whatever else is given is an error of this package."""
    model = s2s_runtime.load(FIXTURES / "tiny-values.s2s")
    rows = np.zeros((1, 4, model.manifest.source.size))
    for start in ("abc", [["a"]], object()):
        with pytest.raises(InputError, match="start: expected numbers"):
            model.predict(rows, start=start)  # type: ignore[call-overload]
    for steps in (2.5, "3", True):
        with pytest.raises(OptionError, match="steps: expected an integer"):
            model.predict(rows, steps=steps)
