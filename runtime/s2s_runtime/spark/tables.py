"""Decoding a column of a table of Spark by its Python workers, each of which loads the bundle once.

What Spark sends its workers names `worker_of` instead of holding it, so that they call this module's, whose memory of
what is loaded outlives a task.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from s2s_runtime.arrow_tables.arrow import import_arrow
from s2s_runtime.arrow_tables.bundle_worker import (
    BundleWorker,
    check_columns,
    check_options,
    has_several,
    read_bundle,
)
from s2s_runtime.bundle.storage import BundleSource
from s2s_runtime.errors import OptionError
from s2s_runtime.lazy_modules import import_extra
from s2s_runtime.spelling import shown

_KEPT: Final = 2  # bundles that a Python worker of Spark keeps loaded
_TEXT: Final = "text"  # the column of the tables that `decode_udf` makes


@dataclass(frozen=True)
class Job:
    """What workers are to do, as it is sent to them.

    Attributes:
        files: the bundle's files by name, as a broadcast variable.
        column: the column to decode.
        options: decoding options, checked.
        threads: threads inside an operator.
        name: the only thing by which jobs differ.
    """

    files: Any = field(compare=False)
    column: str = field(compare=False)
    options: Mapping[str, Any] = field(compare=False)
    threads: int = field(compare=False)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def added(self) -> str:
        """The columns that it adds, in Spark's words."""
        more = ", outputs array<string>, scores array<double>" if has_several(self.options) else ""
        return f"output string, score double, error string{more}"

    def over_batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield Arrow batches with the columns that decoding adds; runs in a worker."""
        for batch in batches:
            yield from worker_of(self)(import_arrow().Table.from_batches([batch])).to_batches()

    def over_texts(self, series: Iterator[Any]) -> Iterator[Any]:
        """Yield the outputs of each series of pandas, None for texts that can't be read; runs in a worker."""
        pandas = _import_spark("pandas")
        for texts in series:
            table = import_arrow().table({_TEXT: import_arrow().array(texts, from_pandas=True)})
            yield pandas.Series(worker_of(self)(table).column("output").to_pylist(), dtype=object)


@lru_cache(maxsize=_KEPT)
def worker_of(job: Job) -> BundleWorker:
    """Return what decodes in this process, loaded when the first batch comes."""
    return BundleWorker(job.files.value, job.column, job.options, job.threads)


def decode_table(table: Any, bundle: BundleSource, *, column: str, threads: int = 1, **options: Any) -> Any:
    """Decode a column of a table of Spark.

    Args:
        table: a `pyspark.sql.DataFrame`.
        bundle: as `s2s_runtime.load` takes it. It is read here, and sent: other machines needn't have it.
        column: the column to decode: texts, or arrays of ids.
        threads: cores of a Python worker: as many as a task has (`spark.task.cpus`).
        **options: decoding options, as `Model.generate` takes them.

    Returns:
        A table with the columns `output`, `score`, and `error` behind those that were there, and, where
        `num_hypotheses` is above 1, `outputs` and `scores`. A row that can't be read has an error and no output.

    Raises:
        MissingExtraError: Spark is not installed.
        BundleError: the bundle can't be read.
        OptionError: an option is wrong, or the table none of Spark.
        InputError: the table lacks the column, or has one that is added.
    """
    sql = _import_spark("pyspark.sql")
    if not isinstance(table, sql.DataFrame):
        raise OptionError(f"table: expected a pyspark.sql.DataFrame, got {shown(table)}")
    job = _job(table.sparkSession, bundle, column, threads, options)
    check_columns(table.columns, column, job.options)
    types = _import_spark("pyspark.sql.types")
    schema = types.StructType([*table.schema.fields, *types.StructType.fromDDL(job.added).fields])
    return table.mapInArrow(job.over_batches, schema)


def decode_udf(spark: Any, bundle: BundleSource, *, threads: int = 1, **options: Any) -> Any:
    """Make a pandas UDF that decodes texts, for expressions and, registered, for SQL.

    Args:
        spark: the `pyspark.sql.SparkSession` that is to use it.
        bundle: as `s2s_runtime.load` takes it. It is read here, and sent: other machines needn't have it.
        threads: cores of a Python worker: as many as a task has (`spark.task.cpus`).
        **options: decoding options, as `Model.generate` takes them.

    Returns:
        The UDF, of a column of texts, or of arrays of ids, to the best output, null where a row can't be read.

    Raises:
        MissingExtraError: Spark is not installed.
        BundleError: the bundle can't be read.
        OptionError: an option is wrong, or the session none of Spark.
    """
    job = _job(spark, bundle, _TEXT, threads, options)
    pandas = _import_spark("pandas")

    def outputs(series: Iterator[Any]) -> Iterator[Any]:
        return job.over_texts(series)

    # By its annotations Spark knows that it hands over many series, one after the other.
    many: Any = Iterator
    outputs.__annotations__ = dict.fromkeys(("series", "return"), many[pandas.Series])
    return _import_spark("pyspark.sql.functions").pandas_udf(outputs, "string")


def _job(spark: Any, bundle: BundleSource, column: str, threads: int, options: Mapping[str, Any]) -> Job:
    """Return a job whose bundle is on its way to the workers.

    Raises:
        OptionError: an option is wrong, or the session can't send anything.
    """
    if not isinstance(spark, _import_spark("pyspark.sql").SparkSession):
        raise OptionError(
            "spark: expected a pyspark.sql.SparkSession, whose SparkContext sends the bundle (Spark Connect has none), "
            f"got {shown(spark)}"
        )
    files, manifest = read_bundle(bundle)
    chosen = check_options(options, manifest)
    return Job(spark.sparkContext.broadcast(files), column, chosen, threads)


def _import_spark(part: str) -> Any:
    """Return a module of Spark, or pandas, which aren't all typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra(part, "'s2s-runtime[spark]'")
