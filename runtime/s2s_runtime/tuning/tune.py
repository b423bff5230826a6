"""The work of s2s-tune once its options are parsed."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from s2s_runtime.commands.command_options import flags_of
from s2s_runtime.commands.decode_options import LoadOptions
from s2s_runtime.commands.evaluate import read_warning
from s2s_runtime.commands.load_bundles import check_weights
from s2s_runtime.console.app import UsageError, warn
from s2s_runtime.console.progress import advancing
from s2s_runtime.declared_options import declared, differs
from s2s_runtime.evaluation import import_metrics
from s2s_runtime.options import DecodingOptions
from s2s_runtime.ort.thread_rule import usable_cores
from s2s_runtime.plots.figures import check_picture
from s2s_runtime.tuning.options import TuneOptions
from s2s_runtime.tuning.pictures import plot_trials
from s2s_runtime.tuning.record import Record, known_figures, read_trials, setting_digest
from s2s_runtime.tuning.space import Axis, combinations, decoding_values, ensemble_weights, read_axis, sensible
from s2s_runtime.tuning.terms import BETTER_HIGH, FIGURES, Metric
from s2s_runtime.tuning.trials import Setting, Trial, run_trials

_SHOWN: Final = 10  # trials of the table
_DRAWN: Final = 20  # combinations that are tried at random where nothing is said


def run(options: TuneOptions, loaded: LoadOptions, fixed: Mapping[str, Any]) -> str:
    """Try all combinations, and return what the command writes.

    Args:
        options: of the command.
        loaded: how bundles are loaded.
        fixed: decoding options that are the same in all trials.

    Raises:
        UsageError, S2SError, OSError: something is wrong; the message says it in one line.
    """
    _check_files(options)
    check_weights(loaded)
    axes = _axes(options.tried, len(loaded.ensemble_with))
    limit = (options.trials or _DRAWN) if options.search == "random" else None
    found = combinations(axes, options.search, limit, options.seed)
    kept, left_out = sensible(found, fixed, limit)
    _tell_left_out(kept, left_out)
    scored = options.metric in BETTER_HIGH
    if scored:
        import_metrics()  # that it is missing is said before the work
    references = read_warning(
        options.pairs, options.rows, options.encoding, strict=options.strict, first_only=options.first_target
    )
    setting = Setting([options.bundle, *loaded.ensemble_with], loaded, references, fixed, scored)
    trials = _run(options, setting, kept)
    trials.sort(key=lambda trial: trial.rank(options.metric))
    if options.picture is not None:
        plot_trials(trials, options.metric, options.picture)
    line = command_line(options.bundle, loaded, fixed, trials[0].options)
    if not options.as_json:
        return "\n".join([*_table(trials, axes, options.metric), "", line])
    every = [{"options": dict(trial.options), "figures": dict(trial.figures)} for trial in trials]
    return json.dumps({"metric": options.metric, "command": line, "trials": every}, indent=1, ensure_ascii=False)


def _axes(tried: Sequence[str], others: int) -> list[Axis]:
    """Return what is tried of each option.

    Raises:
        UsageError: an option is given twice.
        OptionError: one can't be read.
    """
    axes = [read_axis(text, others) for text in tried]
    twice = [name for name, count in Counter(axis.name for axis in axes).items() if count > 1]
    if twice:
        raise UsageError(f"--try {twice[0]}: expected once, with all its values")
    return axes


def _check_files(options: TuneOptions) -> None:
    """Check, before the work, what is written.

    Raises:
        UsageError: the output can't be a file.
        OptionError: the picture can't be written.
    """
    if options.output is not None and (options.output.is_dir() or not options.output.parent.is_dir()):
        raise UsageError(f"--output: expected a file in a folder that is there, got {options.output}")
    if options.picture is not None:
        check_picture(options.picture)


def _tell_left_out(kept: Sequence[Mapping[str, Any]], left_out: Counter[str]) -> None:
    """Say on stderr how many combinations make no sense.

    Raises:
        UsageError: none of them does.
    """
    if not kept:
        reason = left_out.most_common(1)[0][0] if left_out else "there is nothing to draw from"
        raise UsageError(f"--try: no combination can be decoded with: {reason}")
    for reason, count in left_out.most_common():
        warn(f"note: {count:,} combination{'s' if count > 1 else ''} left out: {reason}")


def _run(options: TuneOptions, setting: Setting, kept: Sequence[dict[str, Any]]) -> list[Trial]:
    """Try what isn't known yet, and return all trials."""
    known: list[Trial] = []
    own = "" if options.output is None else setting_digest(setting)
    if options.output is not None:
        if options.force:
            options.output.unlink(missing_ok=True)
        known = read_trials(options.output, own)
    trials, wanted = [], []
    for number, values in enumerate(kept):
        figures = known_figures(known, values, FIGURES[options.metric])
        if figures is None:
            wanted.append((number, values))
        else:
            trials.append(Trial(values, figures, number))
    if trials:
        warn(f"note: {len(trials):,} of {len(kept):,} trials were there")
    record = None if options.output is None else Record(options.output, own)
    try:
        with advancing("trying", max(1, len(wanted))) as advance:
            for trial in run_trials(setting, wanted, options.jobs or usable_cores()) if wanted else ():
                if record is not None:
                    record.add(trial)
                trials.append(trial)
                advance(1)
    finally:
        if record is not None:
            record.close()
    return trials


def _table(trials: Sequence[Trial], axes: Sequence[Axis], metric: Metric) -> list[str]:
    """Return the best trials as lines of a table."""
    heads = [metric, *(axis.name for axis in axes)]
    rows = []
    for trial in trials[:_SHOWN]:
        figure = trial.figure(metric)
        shown = f"{figure:.2f}" if metric in BETTER_HIGH else f"{figure:.2%}"
        values = [_spelled(trial.options[axis.name]) for axis in axes]
        rows.append([shown, *values])
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]]
    more = len(trials) - _SHOWN
    return [*lines, f"and {more:,} more"] if more > 0 else lines


def command_line(bundle: Path, loaded: LoadOptions, fixed: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the command line that decodes with the options of a trial."""
    words = ["s2s-decode", str(bundle)]
    for path in loaded.ensemble_with:
        words += ["--ensemble-with", str(path)]
    if loaded.ensemble_mean != "probabilities":
        words += ["--ensemble-mean", loaded.ensemble_mean]
    if loaded.ensemble_combine != "steps":
        words += ["--ensemble-combine", loaded.ensemble_combine]
    for weight in ensemble_weights(values, loaded.ensemble_weight, len(loaded.ensemble_with)) or ():
        words += ["--ensemble-weight", _spelled(weight)]
    if loaded.output_name is not None:
        words += ["--output-name", loaded.output_name]
    known = declared(DecodingOptions)
    for name, value in {**fixed, **decoding_values(values)}.items():
        flag = flags_of(known[name])[0]
        if value is True:
            words.append(flag)
        elif differs(value, known[name].default) and value is not False:
            words += [flag, _spelled(value)]
    return shlex.join(words)


def _spelled(value: Any) -> str:
    """Return a value as it can be typed, with all its digits."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
