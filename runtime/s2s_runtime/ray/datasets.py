"""Decoding a column of a dataset of Ray Data."""

from __future__ import annotations

from typing import Any

from s2s_runtime.arrow_tables.bundle_worker import BundleWorker, check_columns, check_options, read_bundle
from s2s_runtime.bundle.storage import BundleSource
from s2s_runtime.errors import OptionError
from s2s_runtime.ray.extras import count_processes, import_ray
from s2s_runtime.spelling import shown


def decode_dataset(
    dataset: Any,
    bundle: BundleSource,
    *,
    column: str,
    concurrency: int | tuple[int, int] | None = None,
    batch_size: int = 1024,
    threads: int = 1,
    **options: Any,
) -> Any:
    """Decode a column of a dataset of Ray Data, by processes that each load the bundle once.

    Args:
        dataset: a `ray.data.Dataset`.
        bundle: as `s2s_runtime.load` takes it. It is read here, and sent: other machines needn't have it.
        column: the column to decode: texts, or lists of ids.
        concurrency: processes, or the least and the most of them; None = one for each core of the cluster.
        batch_size: rows handed to a process at a time; it sorts them by length and cuts them into batches.
        threads: cores of a process.
        **options: decoding options, as `Model.generate` takes them.

    Returns:
        A dataset with the columns `output`, `score`, and `error` beside those that were there, and, where
        `num_hypotheses` is above 1, `outputs` and `scores`. A row that can't be read has an error and no output.

    Raises:
        MissingExtraError: Ray is not installed.
        BundleError: the bundle can't be read.
        OptionError: an option is wrong, or the dataset none of Ray Data.
        InputError: the dataset is known to lack the column, or to have one that is added.
    """
    ray = import_ray()
    data = import_ray("ray.data")
    if not isinstance(dataset, data.Dataset):
        raise OptionError(f"dataset: expected a ray.data.Dataset, got {shown(dataset)}")
    files, manifest = read_bundle(bundle)
    chosen = check_options(options, manifest)
    known = dataset.columns(fetch_if_missing=False)
    if known is not None:
        check_columns(known, column, chosen)
    processes = concurrency or count_processes(ray, threads)
    return dataset.map_batches(
        _SentBundle,
        fn_constructor_args=(ray.put(files), column, chosen, threads),
        batch_format="pyarrow",
        batch_size=batch_size,
        concurrency=processes,
        num_cpus=threads,
    )


class _SentBundle(BundleWorker):
    """A worker that takes the bundle from Ray's store, where it lies once for each machine."""

    def __init__(self, reference: Any, column: str, options: dict[str, Any], threads: int) -> None:
        super().__init__(import_ray().get(reference), column, options, threads)
