"""A worker: a bundle loaded once, by which tables are decoded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from s2s_runtime.arrow_tables.arrow import import_arrow
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.manifest_file import checked_bundle
from s2s_runtime.bundle.storage import BundleSource, find_files
from s2s_runtime.declared_options import declared, names_where
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.loading import load
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BUNDLES
from s2s_runtime.results import Result
from s2s_runtime.search.plan import make_plan

ADDED: Final = ("output", "score", "error")
"""Columns that decoding adds."""
OF_SEVERAL: Final = ("outputs", "scores")
"""Those that it adds where several hypotheses are asked for."""


class BundleWorker:
    """A bundle that decodes a column of Arrow tables; each process of Ray or Spark makes one.

    Args:
        files: the bundle's files by name, see `read_bundle`.
        column: the column to decode.
        options: decoding options by name, checked by `check_options`.
        threads: threads inside an operator.
    """

    def __init__(self, files: Mapping[str, bytes], column: str, options: Mapping[str, Any], threads: int = 1) -> None:
        self._model = load(files, workers=1, intra_op_threads=threads, verify_hashes=False)  # read_bundle did that
        self._column = column
        self._options = options

    def __call__(self, table: Any) -> Any:
        """Return a table with the columns that decoding adds. A row that can't be read has its error, and no output.

        Raises:
            InputError: the table has no such column, or has one of those that are added.
        """
        check_columns(table.column_names, self._column, self._options)
        results = self._model.generate(table.column(self._column).to_pylist(), **self._options)
        for name, kind, values in self._added(results):
            table = table.append_column(name, import_arrow().array(values, kind))
        return table

    def _added(self, results: Sequence[Result]) -> list[tuple[str, Any, list[Any]]]:
        """Return name, Arrow type and values of each column that is added."""
        arrow = import_arrow()
        text, number = arrow.string(), arrow.float64()
        right = [result.error is None for result in results]
        added: list[tuple[str, Any, list[Any]]] = [
            ("output", text, [result.text if fine else None for result, fine in zip(results, right, strict=True)]),
            ("score", number, [result.score for result in results]),
            ("error", text, [_reason(index, result) for index, result in enumerate(results)]),
        ]
        if has_several(self._options):
            lists = [result.hypotheses if fine else [] for result, fine in zip(results, right, strict=True)]
            added += [
                ("outputs", arrow.list_(text), [[hypothesis.text for hypothesis in found] for found in lists]),
                ("scores", arrow.list_(number), [[hypothesis.score for hypothesis in found] for found in lists]),
            ]
        return added


def read_bundle(bundle: BundleSource) -> tuple[dict[str, bytes], Manifest]:
    """Return the files of a bundle by name, checked, to be sent to workers, and its manifest.

    Raises:
        BundleNotFoundError, BundleError: as `s2s_runtime.load`.
        OptionError: the bundle writes values, gives several outputs, or reads several sources.
    """
    files = find_files(bundle)
    with checked_bundle(files, verify_hashes=True, without=()) as manifest:
        if manifest.target.feedback == "value":
            raise OptionError(
                f"{files.name}: expected a bundle that writes tokens; of values, Model.predict gives rows"
            )
        if manifest.outputs:
            raise OptionError(
                f"{files.name}: expected a bundle of one output, got one of {', '.join(manifest.output_names)}: export "
                "one of them by itself (--decoder-output NAME), or decode with Model.generate"
            )
        if len(manifest.given_names) > 1:
            raise OptionError(f"{files.name}: expected a bundle that reads one source; Model.generate takes several")
        named = [graph.file for graph in manifest.graphs.values()]
        named += [] if manifest.weights is None else [manifest.weights.file]
        return {name: files.read(name) for name in ("manifest.json", *named)}, manifest


def check_options(options: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Return the options of workers: those given, with scores, and errors kept with their rows.

    Raises:
        OptionError: one has a wrong value, needs what the bundle lacks, or can't be sent to workers.
    """
    alone = [name for name, declaration in declared(DecodingOptions).items() if declaration.option.typed is None]
    for name in (*alone, "prefix"):  # functions, and what comes with each text
        if options.get(name) is not None:
            raise OptionError(f"{name}: can't be sent to workers; leave it out")
    for name in names_where(DecodingOptions, group=BUNDLES):
        if options.get(name) is not None and not isinstance(options[name], str | os.PathLike):
            raise OptionError(f"{name}: a loaded bundle can't be sent to workers; give its path, which they open")
    chosen = {"return_scores": True, **options, "on_error": "return"}
    make_plan(DecodingOptions(**chosen), manifest)
    return chosen


def has_several(options: Mapping[str, Any]) -> bool:
    """Return whether rows have several hypotheses by some options, and so columns of all of them too."""
    return bool(options.get("num_hypotheses", 1) > 1)


def check_columns(columns: Sequence[str], column: str, options: Mapping[str, Any]) -> None:
    """Refuse a table without the column to decode, or with one of those that are added.

    Args:
        columns: of the table.
        column: the one to decode.
        options: decoding options by name.

    Raises:
        InputError: says which columns there are.
    """
    if column not in columns:
        raise InputError(f"column: expected one of {', '.join(columns)}, got {column!r}")
    taken = [name for name in (*ADDED, *(OF_SEVERAL if has_several(options) else ())) if name in columns]
    if taken:
        raise InputError(f"the column {taken[0]!r} is there already, and decoding adds one; rename it")


def _reason(index: int, result: Result) -> str | None:
    """Return why a row can't be read, without its place among those that were handed over together."""
    return None if result.error is None else str(result.error).removeprefix(f"inputs[{index}]: ")
