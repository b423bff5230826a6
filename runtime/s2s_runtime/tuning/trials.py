"""Trying combinations of options: each decodes all pairs, several at a time in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal
from typing import Any, Final

from s2s_runtime.commands.decode_options import LoadOptions
from s2s_runtime.commands.load_bundles import load_each
from s2s_runtime.ensembles import ensemble
from s2s_runtime.evaluation import decode_pairs, evaluate
from s2s_runtime.model import Model
from s2s_runtime.tuning.space import decoding_values, ensemble_weights
from s2s_runtime.tuning.terms import BETTER_HIGH, FIGURES, Metric


@dataclass(frozen=True, slots=True)
class Trial:
    """A combination of options that was tried, by their names, and what came of it.

    Attributes:
        options: values of the options.
        figures: of the evaluation, by name.
        number: its place in the order of combinations.
    """

    options: Mapping[str, Any]
    figures: Mapping[str, Any]
    number: int = 0

    def figure(self, metric: Metric) -> float:
        """Return its figure by a metric."""
        return float(self.figures[FIGURES[metric]])

    def rank(self, metric: Metric) -> tuple[float, int]:
        """Return what trials are sorted by, the best first; of equal ones, the one that stands first in the order."""
        figure = self.figure(metric)
        return (-figure if metric in BETTER_HIGH else figure, self.number)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in all trials.

    Attributes:
        bundles: the bundle, and those beside it in an ensemble.
        loaded: how they are loaded.
        references: right targets of each source.
        fixed: decoding options, by name.
        scored: whether BLEU and chrF are counted.
    """

    bundles: Sequence[Path]
    loaded: LoadOptions
    references: Mapping[str, Sequence[str]]
    fixed: Mapping[str, Any]
    scored: bool


@dataclass(slots=True)
class Bench:
    """The models of a setting, loaded, on which trials are made.

    Attributes:
        setting: what is the same in all trials.
        alone: whether trials are made one after the other, with all cores.
        models: the models, one for each bundle.
    """

    setting: Setting
    alone: bool = True
    models: list[Model] = field(init=False)

    def __post_init__(self) -> None:
        bundles, loaded = self.setting.bundles, self.setting.loaded
        self.models = (
            load_each(bundles, loaded) if self.alone else load_each(bundles, replace(loaded, threads=1), workers=1)
        )

    def figures(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the figures of a trial."""
        setting, model = self.setting, self.models[0]
        if len(self.models) > 1:
            weights = ensemble_weights(values, setting.loaded.ensemble_weight, len(self.models) - 1)
            how = setting.loaded
            model = ensemble(self.models, mean=how.ensemble_mean, weights=weights, combine=how.ensemble_combine)
        options = {**setting.fixed, **decoding_values(values)}
        decoded = decode_pairs(model, setting.references, **options)
        return evaluate(model, decoded, bleu=setting.scored).to_dict()


def run_trials(setting: Setting, wanted: Sequence[tuple[int, dict[str, Any]]], jobs: int) -> Iterator[Trial]:
    """Yield trials as they end.

    Args:
        setting: what is the same in all.
        wanted: the number and the values of each.
        jobs: how many are made at a time; 1 = in this process.

    Raises:
        S2SError: a trial failed: a source can't be read, the model failed.
    """
    if jobs == 1 or len(wanted) == 1:
        bench = Bench(setting)
        for number, values in wanted:
            yield Trial(values, bench.figures(values), number)
        return
    pool = ProcessPoolExecutor(min(jobs, len(wanted)), get_context("spawn"), initializer=_begin, initargs=(setting,))
    try:
        pending: dict[Future[dict[str, Any]], tuple[int, dict[str, Any]]] = {
            pool.submit(_try, values): (number, values) for number, values in wanted
        }
        for done in as_completed(pending):
            number, values = pending[done]
            yield Trial(values, done.result(), number)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():  # what they do now is for nobody
            child.terminate()
        raise
    pool.shutdown()


_SETTINGS: Final[list[Setting]] = []  # of a process that makes trials, its own


def _begin(setting: Setting) -> None:
    """Take in, at the start of a process, what its trials have in common."""
    signal(SIGINT, SIG_DFL)  # Ctrl-C reaches all processes of a terminal; the first of them says so
    _SETTINGS.append(setting)


@cache
def _bench() -> Bench:
    """Return the models of this process, loaded by its first trial: an error of a trial is told, with its message."""
    return Bench(_SETTINGS[0], alone=False)


def _try(values: dict[str, Any]) -> dict[str, Any]:
    return _bench().figures(values)
