"""Columns of Spark's tables: each row as `generate` has it, all columns kept, a bundle loaded once a worker."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import FIXTURES, ROOT, TINY

import s2s_runtime
from s2s_runtime.errors import InputError, MissingExtraError, OptionError
from s2s_runtime.spark import decode_table, decode_udf
from s2s_runtime.spark.tables import worker_of

ONEHOT = FIXTURES / "tiny-onehot.s2s"
HAS_SPARK = shutil.which("java") is not None
try:
    from pyspark.sql import SparkSession
except ImportError:
    HAS_SPARK = False

with_spark = pytest.mark.skipif(not HAS_SPARK, reason="needs Java, and Spark, which only `make test-spark` installs")
pytestmark = pytest.mark.filterwarnings("ignore")  # Spark's own, of what it imports


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Spark on this machine, with two workers and small batches."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder, before = tmp_path_factory.mktemp("spark"), Path.cwd()
    os.chdir(folder)  # Java looks for relative paths where it was started
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": folder,
        "spark.sql.execution.arrow.maxRecordsPerBatch": 50,
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.ui.enabled": False,
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    os.chdir(before)


def rows(count: int) -> list[tuple[int | None, str | None, list[int]]]:
    """Rows with texts that the small bundle reads, every tenth one that it doesn't, and one that is missing."""
    chance = random.Random(0)
    texts = ["".join(chance.choice("abcde") for _ in range(chance.randint(0, 12))) for _ in range(count)]
    return [
        (None if i == 3 else i, None if i == 5 else text if i % 10 else f"{text}z", [i]) for i, text in enumerate(texts)
    ]


@with_spark
@pytest.mark.parametrize("options", [{}, {"beam_size": 3, "num_hypotheses": 2}], ids=["greedy", "beam"])
def test_rows_that_come_out_are_those_that_went_in(spark: Any, options: dict[str, Any]) -> None:
    """Every column is kept as it was, and what is added is what `generate` gives, with a reason where it gives none."""
    given = rows(400)
    table = spark.createDataFrame(given, "id int, title string, more array<bigint>").repartition(6)
    decoded = decode_table(table, TINY, column="title", **options)
    assert decoded.columns[:6] == ["id", "title", "more", "output", "score", "error"]
    assert decoded.schema[:3] == table.schema[:3]
    found = sorted(decoded.collect(), key=lambda row: row.more)
    assert [(row.id, row.title, row.more) for row in found] == given
    expected = s2s_runtime.load(TINY).generate(
        [title for _, title, _ in given], on_error="return", return_scores=True, **options
    )
    for row, result in zip(found, expected, strict=True):
        if result.error is None:
            assert (row.output, row.error) == (result.text, None)
            assert row.score == pytest.approx(result.score, abs=1e-6)
            if options:
                assert row.outputs == [hypothesis.text for hypothesis in result.hypotheses]
        else:
            assert (row.output, row.score) == (None, None)
            assert "unknown character 'z'" in row.error or "missing value" in row.error
    assert sum(row.error is not None for row in found) == 41


@with_spark
def test_a_worker_loads_the_bundle_once(spark: Any) -> None:
    """However many tasks and batches a Python worker has, it loads once; two workers load at most twice."""
    table = spark.createDataFrame([(f"{'abcde' * (i % 3)}",) for i in range(1200)], "title string").repartition(12)
    decoded = decode_table(table, TINY, column="title")

    def told(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            loads = worker_of.cache_info()
            count = [batch.num_rows, os.getpid(), loads.misses, loads.hits]
            yield pa.record_batch([pa.array([number]) for number in count], ["rows", "pid", "loads", "uses"])

    decoded.write.format("noop").mode("overwrite").save()
    seen = table.mapInArrow(told, "rows long, pid long, loads long, uses long").collect()
    assert sum(row.rows for row in seen) == 1200
    before = {row.pid: (row.loads, row.uses) for row in seen}
    assert 1 <= len(before) <= 2
    decoded.write.format("noop").mode("overwrite").save()  # the same job again: nothing is loaded
    seen = table.mapInArrow(told, "rows long, pid long, loads long, uses long").collect()
    after = {row.pid: (row.loads, row.uses) for row in seen}
    assert {pid: loads for pid, (loads, _) in after.items()} == {pid: loads for pid, (loads, _) in before.items()}
    assert sum(uses for _, uses in after.values()) >= sum(uses for _, uses in before.values()) + 24


@with_spark
def test_sql_has_it_as_a_function(spark: Any) -> None:
    """The registered UDF gives outputs in SQL and in expressions, null where a text can't be read or is missing."""
    given = rows(120)
    spark.createDataFrame(given, "id int, title string, more array<bigint>").createOrReplaceTempView("titles")
    spark.udf.register("translated", decode_udf(spark, TINY, beam_size=2))
    found = spark.sql("SELECT more[0] AS n, translated(title) AS output FROM titles ORDER BY n").collect()
    expected = s2s_runtime.load(TINY).generate([title for _, title, _ in given], on_error="return", beam_size=2)
    assert [row.output for row in found] == [None if result.error else result.text for result in expected]


@with_spark
def test_arrays_of_ids_are_sources_too(spark: Any) -> None:
    """A bundle without a source vocabulary takes a column of arrays, in tables and in expressions."""
    given = [[1, 2, 3], [1, 4], [2], [3, 3, 1, 2]]
    table = spark.createDataFrame([(i, ids) for i, ids in enumerate(given)], "id int, ids array<bigint>")
    udf = decode_udf(spark, ONEHOT)
    decoded = decode_table(table.withColumn("again", udf(table.ids)), ONEHOT, column="ids").orderBy("id")
    expected = [result.text for result in s2s_runtime.load(ONEHOT).generate(given)]
    assert [(row.output, row.again) for row in decoded.collect()] == [(text, text) for text in expected]


@with_spark
def test_what_the_guide_shows_runs(spark: Any) -> None:
    """The guide's lines, with a table of titles and the small bundle in the folder."""
    shutil.copytree(TINY, "model.s2s")
    spark.createDataFrame([("abc",), ("deed",)], "title string").write.parquet("titles.parquet")
    section = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8").partition("\n## Spark\n")[2]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section.partition("\n## ")[0], re.MULTILINE)
    code = "\n".join(line[4:] for block in blocks for line in block.splitlines())
    exec(code, {"spark": spark})
    outputs = {row.title: row.output for row in spark.read.parquet("decoded.parquet").collect()}
    expected = s2s_runtime.load(TINY).generate(["abc", "deed"], beam_size=4)
    assert outputs == {"abc": expected[0].text, "deed": expected[1].text}


@with_spark
def test_what_is_wrong_is_said_before_anything_runs(spark: Any) -> None:
    """Columns, options, tables and sessions are looked at by the call."""
    table = spark.createDataFrame([("abc", "x")], "title string, score string")
    with pytest.raises(InputError, match="expected one of title, score, got 'text'"):
        decode_table(table, TINY, column="text")
    with pytest.raises(InputError, match="'score' is there already"):
        decode_table(table, TINY, column="title")
    with pytest.raises(OptionError, match="beam_size"):
        decode_table(table.select("title"), TINY, column="title", beam_size=0)
    with pytest.raises(OptionError, match=r"table: expected a pyspark.sql.DataFrame"):
        decode_table(["abc"], TINY, column="title")
    with pytest.raises(OptionError, match=r"spark: expected a pyspark.sql.SparkSession"):
        decode_udf(None, TINY)


def test_without_spark_the_extra_is_named() -> None:
    """One clear error where Spark isn't installed."""
    if HAS_SPARK:
        pytest.skip("Spark is installed here")
    with pytest.raises(MissingExtraError, match=r"s2s-runtime\[spark\]"):
        decode_table(None, TINY, column="title")
