"""A batch job: blocks of rows of many files, decoded by Ray's workers, each written once.

Blocks are read here, one after the other, and handed to workers, few more than there are of them: memory is bounded.
What a worker gives is written here, under the name of its block. So a worker that dies, and whose block another one
takes, leaves nothing, and where this process is ended, what it wrote counts.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from s2s_runtime.arrow_tables.arrow import import_arrow
from s2s_runtime.arrow_tables.bundle_worker import BundleWorker, check_columns, check_options, read_bundle
from s2s_runtime.errors import InputError, OptionError, RunError, S2SError
from s2s_runtime.files.json_fields import digest
from s2s_runtime.ray.extras import count_processes, import_ray
from s2s_runtime.ray.input_tables import list_inputs, read_tables
from s2s_runtime.ray.options import BatchOptions
from s2s_runtime.ray.output_folder import OutputFolder, summarized

_AHEAD: Final = 2  # blocks for each worker: one that it decodes, one that waits
_TRIES: Final = 20  # of a block whose worker dies

OnRows = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """The counts of a batch job.

    Attributes:
        rows: rows decoded now.
        skipped: rows that were there already.
        errors: rows decoded now that couldn't be read, whose `error` says why.
        files: files of the output, those that were there too.
        seconds: time it took, without starting Ray.
    """

    rows: int
    skipped: int
    errors: int
    files: int
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


class _Block(NamedTuple):
    """Some rows of a file, and the file that they are written to."""

    where: str
    table: Any
    part: Path


def run_batch(settings: BatchOptions, options: Mapping[str, Any], on_rows: OnRows | None = None) -> BatchReport:
    """Decode all rows of files that aren't in the output yet.

    Args:
        settings: what to decode, and where to.
        options: decoding options by name.
        on_rows: called with the number of rows done, those that were there too, each time that it grows.

    Raises:
        MissingExtraError: Ray or pyarrow is not installed.
        BundleError, OptionError, InputError: the bundle, an option or a file is at fault.
        RunError: the workers that decoded a block died, again and again.
    """
    import_arrow()
    files, manifest = read_bundle(settings.bundle)
    chosen = check_options(options, manifest)
    inputs = list_inputs(settings.inputs)
    column = settings.column if settings.column is not None else _only_column(inputs, settings)
    job = {
        "column": column,
        "bundle": digest({name: len(content) for name, content in files.items()} | dict(manifest.to_dict())),
        "options": {name: summarized(value) for name, value in chosen.items()},
        "block_rows": settings.block_rows,
        "encoding": settings.encoding,
        "inputs": [
            {"path": str(path.absolute()), "bytes": path.stat().st_size, "time": path.stat().st_mtime_ns}
            for path in inputs
        ],
    }
    folder = OutputFolder(settings.output, job, force=settings.force)
    done, start = _Counts(on_rows), time.perf_counter()
    blocks = done.missing(_blocks(inputs, folder, settings, column, chosen))
    first = next(blocks, None)
    if first is not None:
        with _ray(settings) as ray:
            start = time.perf_counter()
            for block, table in _decoded(ray, chain([first], blocks), settings, (files, column, chosen)):
                folder.write(block.part, table)
                done.add(table)
    return BatchReport(done.rows, done.skipped, done.errors, done.files, time.perf_counter() - start)


class _Counts:
    """The counts of a job while it runs."""

    def __init__(self, on_rows: OnRows | None) -> None:
        self._on_rows = on_rows
        self.rows = self.skipped = self.errors = self.files = 0

    def missing(self, blocks: Iterator[_Block]) -> Iterator[_Block]:
        """Yield the blocks that aren't written yet, and count the others."""
        for block in blocks:
            self.files += 1
            if block.part.exists():
                self.skipped += block.table.num_rows
                self._tell()
            else:
                yield block

    def add(self, table: Any) -> None:
        """Count the rows of a table that was written."""
        self.rows += table.num_rows
        self.errors += table.num_rows - table.column("error").null_count
        self._tell()

    def _tell(self) -> None:
        if self._on_rows is not None:
            self._on_rows(self.rows + self.skipped)


def _only_column(inputs: Sequence[Path], settings: BatchOptions) -> str:
    """Return the name of the only column that the first file has.

    Raises:
        OptionError: it has several.
        InputError: it has none.
    """
    table = next(read_tables(inputs[0], 1, settings.encoding), None)
    if table is None:
        raise InputError(f"{inputs[0]}: no rows, so that nothing says which column to decode; give --column")
    if len(table.column_names) > 1:
        raise OptionError(f"--column: expected one of {', '.join(table.column_names)}; {inputs[0]} has several")
    name: str = table.column_names[0]
    return name


def _blocks(
    inputs: Sequence[Path], folder: OutputFolder, settings: BatchOptions, column: str, options: Mapping[str, Any]
) -> Iterator[_Block]:
    """Yield the blocks of all files in their order.

    Raises:
        InputError: a file can't be read, or lacks the column.
    """
    for number, path in enumerate(inputs):
        first = 1
        for index, table in enumerate(read_tables(path, settings.block_rows, settings.encoding)):
            try:
                check_columns(table.column_names, column, options)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
            where = f"{path}, rows {first:,} to {first + table.num_rows - 1:,}"
            first += table.num_rows
            yield _Block(where, table, folder.part(number, index))


def _decoded(
    ray: Any, blocks: Iterator[_Block], settings: BatchOptions, bundle: tuple[Any, ...]
) -> Iterator[tuple[_Block, Any]]:
    """Yield the blocks with what workers made of them, in the order in which they are ready.

    Raises:
        RunError: a block's workers died again and again.
        S2SError: what a worker raised.
    """
    count = settings.workers or count_processes(ray, settings.threads)
    made = ray.remote(num_cpus=settings.threads, max_restarts=-1, max_task_retries=_TRIES)(_Decoder)
    files, *others = bundle
    sent = [ray.put(files)]  # in a list: handed on as it is, and not once more with each block
    idle = [made.remote(*others, settings.threads) for _ in range(count)] * _AHEAD
    running: dict[Any, tuple[_Block, Any]] = {}
    for block in blocks:
        if not idle:
            yield _next(ray, running, idle)
        worker = idle.pop(0)
        running[worker.decode.remote(sent, block.table)] = block, worker
    while running:
        yield _next(ray, running, idle)


class _Decoder:
    """The actor: Ray makes one in each process, and another where it dies; it loads the bundle with its first block."""

    def __init__(self, column: str, options: dict[str, Any], threads: int) -> None:
        self._how = column, options, threads
        self._worker: BundleWorker | None = None

    def decode(self, sent: list[Any], table: Any) -> Any:
        """Return the table with the columns that decoding adds."""
        if self._worker is None:
            self._worker = BundleWorker(import_ray().get(sent[0]), *self._how)
        return self._worker(table)


def _next(ray: Any, running: dict[Any, tuple[_Block, Any]], idle: list[Any]) -> tuple[_Block, Any]:
    """Wait for the next block that is ready, and return it with its table."""
    [ready], _ = ray.wait([*running], num_returns=1)
    block, worker = running.pop(ready)
    try:
        table = ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, S2SError) else error from None
    except ray.exceptions.RayError as error:
        raise RunError(
            f"{block.where}: the processes that decoded these rows died ({error}); give fewer --block-rows"
        ) from error
    idle.append(worker)
    return block, table


@contextmanager
def _ray(settings: BatchOptions) -> Iterator[Any]:
    """Yield Ray, connected to a cluster, or started on this machine and ended behind the block."""
    ray = import_ray()
    own = not ray.is_initialized()
    if own:
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        cores = max(os.cpu_count() or 1, (settings.workers or 1) * settings.threads)
        here = {"num_cpus": cores, "include_dashboard": False} if settings.address is None else {}
        try:
            ray.init(address=settings.address or "local", **quiet, **here)
        except (ConnectionError, ValueError) as error:
            raise OptionError(
                f"--address: expected a Ray cluster that runs, got {settings.address}: {error}"
            ) from error
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()
