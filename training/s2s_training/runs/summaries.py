"""Summaries of runs as a few lines to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2s_training.runs.variations import mean


def describe(summary: Mapping[str, Any], run: Path) -> str:
    """Return in a few lines what came of a run, or of several with different seeds or options.

    Args:
        summary: the content of `summary.json`.
        run: the folder, to be named.
    """
    if "runs" in summary:
        return _describe_varied(summary["runs"], run)
    return _describe_seeds(summary, run) if "seeds" in summary else _describe_run(summary, run)


def _describe_run(summary: Mapping[str, Any], run: Path) -> str:
    best = summary["best"]
    kept = summary.get("kept", "best")  # summaries of earlier versions don't say
    parts = [f"{run}: {kept} epoch {best['epoch']} of {summary['epochs']}", f"validation loss {best['val_loss']:.4f}"]
    if "val_token_accuracy" in best:
        parts.append(f"token accuracy {best['val_token_accuracy']:.2%}")
    lines = [", ".join([*parts, f"{summary['minutes']} minutes"])]
    for name, figures in summary["errors"].items():
        lines.append(_errors(name, figures))
    return "\n".join(lines)


def _errors(name: str, figures: Mapping[str, Any]) -> str:
    if "perplexity" in figures:
        return f"{figures['lines']} {name}, {figures['symbols']} symbols: perplexity {figures['perplexity']:.4f}"
    count = figures["sequences"]
    if "mean_squared_error" in figures:
        off = f"mean squared error {figures['mean_squared_error']:.6f}"
        return f"{count} windows predicted from their own values, {name}: {off}"
    rates = f"{figures['sequence_error_rate']:.1%} wrong, {figures['token_error_rate']:.1%} of tokens wrong"
    return f"{count} held-out sources decoded, {name}: {rates}"


def _describe_seeds(summary: Mapping[str, Any], run: Path) -> str:
    lines = [f"{run}: {len(summary['seeds'])} seeds, mean and standard deviation"]
    lines.append(f"validation loss {_mean(summary['best']['val_loss'])}")
    for name, figures in summary["errors"].items():
        for figure in ("sequence_error_rate", "token_error_rate", "mean_squared_error", "perplexity"):
            if figure in figures:
                lines.append(f"{name}: {figure.replace('_', ' ')} {_mean(figures[figure])}")
    return "\n".join(lines)


def _describe_varied(runs: Sequence[Mapping[str, Any]], run: Path) -> str:
    """Return a table of runs, the best first."""
    rows = [["validation loss", "wrong", *runs[0]["options"]]]
    for one in runs:
        plain = one["errors"].get("plain", {})
        wrong = f"{mean(plain['sequence_error_rate']):.1%}" if "sequence_error_rate" in plain else ""
        rows.append([f"{mean(one['best']['val_loss']):.4f}", wrong, *map(str, one["options"].values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    each = f" of {len(runs[0]['seeds'])} seeds each, means" if "seeds" in runs[0] else ""
    return "\n".join([f"{run}: {len(runs)} runs{each}, best first", *lines])


def _mean(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.4f} ± {figure['deviation']:.4f}"
