"""Decoding a field of records, a record a line: JSON objects, or rows with tabs or commas. The other fields pass."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from s2s_runtime.decoding.line_format import further_texts, on_one_line
from s2s_runtime.decoding.text_files import DecodeLines
from s2s_runtime.errors import InputError
from s2s_runtime.files.json_fields import parse_line
from s2s_runtime.results import Result

RecordKind = Literal["jsonl", "tsv", "csv"]
OUTPUT: Final = "output"
"""Name of the field, and of the column, that is added."""

_OF_JSON: Final = ("error", "source_tokens", "unknown_symbols", "parts", "left_out", "hypotheses", "outputs")


@dataclass(slots=True)
class RecordLines:
    """The work of decoding records.

    Args:
        work: decodes their texts.
        kind: what a line is.
        column: the name of the field to decode, or, of rows without a line of names, its number from 1.
        as_json: whether a JSON object is written for each, with all that is known of its result.
        scores: whether the score stands beside the output.
        names: names of the columns, once the line of names was read.
    """

    work: DecodeLines
    kind: RecordKind
    column: str
    as_json: bool = False
    scores: bool = False
    names: list[str] = field(default_factory=list)

    @property
    def is_named(self) -> bool:
        """Whether the first line has the names of the columns."""
        return self.kind != "jsonl" and not self.column.isdigit()

    @property
    def _added(self) -> list[str]:
        """Names of the fields that are added, where they aren't all that is known of a result."""
        return ["score", OUTPUT] if self.scores else [OUTPUT]

    @property
    def _further(self) -> tuple[str, ...]:
        """Names of the fields that a model of several outputs adds beside these."""
        return self.work.decoding.manifest.output_names[1:]

    def __call__(self, lines: Sequence[str], first: int) -> str:
        """See `Work`."""
        head = ""
        if self.is_named and first == 0 and lines:
            head = self._begin(lines[0])
            lines, first = lines[1:], 1
        records = [self._record(line, f"text {first + i + 1}") for i, line in enumerate(lines)]
        texts = [self._text(record, f"text {first + i + 1}") for i, record in enumerate(records)]
        results = self.work.results(texts, first)
        return head + "".join(map(self._written, records, results))

    def _begin(self, line: str) -> str:
        """Read the line of names; return what is written for it."""
        self.names = self._cells(line, "text 1")
        given = ", ".join(map(repr, self.names))
        if self.column not in self.names:
            raise InputError(f"text 1: expected the names of columns, {self.column!r} among them, got {given}")
        self._refuse_taken(self.names, "text 1")
        return "" if self.as_json else self._row([*self.names, *self._added, *self._further])

    def _record(self, line: str, place: str) -> Any:
        if self.kind != "jsonl":
            return self._cells(line, place)
        record = parse_line(line, place)
        if not isinstance(record, dict):
            raise InputError(f"{place}: expected a JSON object, got {line[:60]!r}")
        self._refuse_taken(record, place)
        return record

    def _refuse_taken(self, names: Iterable[str], place: str) -> None:
        added = _OF_JSON if self.as_json else (*self._added, *self._further)
        taken = next((name for name in names if name in added), None)
        if taken is not None:
            raise InputError(f"{place}: has a field {taken!r} already, which is to be added; rename it")

    def _cells(self, line: str, place: str) -> list[str]:
        if self.kind == "tsv":
            return line.split("\t")
        try:
            [cells] = csv.reader([line], strict=True) if line else [[""]]
        except (csv.Error, ValueError) as error:
            raise InputError(f"{place}: expected a row of CSV on one line, got {line[:60]!r} ({error})") from error
        return cells

    def _text(self, record: Any, place: str) -> str:
        """Return the text of a record that is to be decoded."""
        if self.kind == "jsonl":
            text = record.get(self.column)
            if not isinstance(text, str):
                raise InputError(f"{place}: expected a text as {self.column!r}, got {json.dumps(text)}; give --column")
            return text
        if self.is_named and len(record) != len(self.names):
            raise InputError(f"{place}: expected {len(self.names)} columns as there are names, got {len(record)}")
        number = self.names.index(self.column) + 1 if self.is_named else int(self.column)
        if number > len(record):
            raise InputError(f"{place}: expected at least {number} columns, got {len(record)}")
        return str(record[number - 1])

    def _written(self, record: Any, result: Result) -> str:
        """Return the line of a record with its result."""
        if self.kind == "jsonl" or self.as_json:
            fields = record if self.kind == "jsonl" else dict(zip(self.names, record, strict=True))
            best = [{"score": each.score, OUTPUT: each.text} for each in result.hypotheses]
            plain = {name: [each[name] for each in best] if len(best) > 1 else best[0][name] for name in self._added}
            further = {
                name: output.text if isinstance(output, Result) else output.tolist()
                for name, output in result.outputs.items()
            }
            added = result.to_dict() if self.as_json else plain | further
            return json.dumps({**fields, **added}, ensure_ascii=False) + "\n"
        score = [f"{result.score:.4f}" if result.score is not None else ""] if self.scores else []
        return self._row([*record, *score, on_one_line(result.text), *further_texts(result)])

    def _row(self, cells: Iterable[str]) -> str:
        if self.kind == "tsv":
            return "\t".join(cell.replace("\t", " ") for cell in cells) + "\n"
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow(cells)
        return row.getvalue()
