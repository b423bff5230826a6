"""The command s2s-calibrate."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.commands.evaluate import PairOptions, read_warning
from s2s_runtime.console.app import UsageError, command, make_app, typer
from s2s_runtime.declared_options import Option

if TYPE_CHECKING:
    from s2s_runtime.bundle.calibration import Calibration
    from s2s_runtime.model import Model
    from s2s_runtime.report.reliability import Reliability

app = make_app()

EPILOG = """
**Examples**

`s2s-calibrate model.s2s dev.tsv`

`s2s-decode model.s2s --json --confidence < words.txt`

`s2s-plot reliability model.s2s test.tsv -o reliability.png`
"""


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(PairOptions):
    """The options of s2s-calibrate."""

    bundle: Annotated[Path, Option(positional=True, metavar="BUNDLE")]
    """Folder written by s2s-export; its manifest gets the temperature."""

    pairs: Annotated[Path, Option(positional=True, metavar="PAIRS")]
    """TSV file of source and right target, that the model was not trained on."""

    dry_run: Annotated[bool, Option()] = False
    """Leave the bundle as it is."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Write one JSON object."""


@command(app, epilog=EPILOG)
@takes(CalibrateOptions)
def calibrate(given: Given) -> None:
    """Make a bundle as sure as it is right: fit the temperature of its confidences to pairs, and store it.

    Models are often too sure of themselves, or, trained with smoothed labels, not sure enough. What is written doesn't
    change, only what --confidence says of it.
    """
    options = CalibrateOptions(**given.of(CalibrateOptions))
    if not options.bundle.is_dir() and options.bundle.exists() and not options.dry_run:
        raise UsageError(
            f"expected the folder of a bundle, got the file {options.bundle}; unpack it, or give --dry-run"
        )
    from s2s_runtime.bundle.manifest_file import write_manifest
    from s2s_runtime.calibrating.fit import fit_temperature
    from s2s_runtime.console.progress import advancing
    from s2s_runtime.loading import load

    references = read_warning(options.pairs, options.rows, options.encoding, strict=options.strict)
    model = load(options.bundle)
    with advancing("fitting", len(references)) as advance:
        calibration = fit_temperature(model, references, advance)
    before = _reliability(model, None, references)
    after = _reliability(model, calibration, references)
    if not options.dry_run:
        write_manifest(options.bundle, replace(model.manifest, calibration=calibration))
    if options.as_json:
        errors = {"calibration_error_before": before.error, "calibration_error_after": after.error}
        typer.echo(json.dumps(calibration.to_dict() | errors, indent=1))
    else:
        typer.echo(_describe(calibration, before, after, stored=None if options.dry_run else options.bundle))


def _reliability(model: Model, calibration: Calibration | None, references: dict[str, list[str]]) -> Reliability:
    """Return how sure the model is of what it writes greedily, beside how often it is right."""
    from s2s_runtime.model import Model
    from s2s_runtime.report.evaluated import measured_reliability

    manifest = replace(model.manifest, calibration=calibration)
    return measured_reliability(Model(manifest, model.step_model, model.provider), references)


def _describe(calibration: Calibration, before: Reliability, after: Reliability, stored: Path | None) -> str:
    kind = "too sure" if calibration.temperature > 1 else "not sure enough"
    where = "stored nowhere (--dry-run)" if stored is None else f"stored in {stored}"
    return "\n".join(
        [
            f"temperature        {calibration.temperature:.3f}: the model was {kind}; {where}",
            f"loss of a token    {calibration.loss_before:.4f} to {calibration.loss_after:.4f}, "
            f"{calibration.pairs:,} pairs",
            f"calibration error  {before.error:.1%} to {after.error:.1%}, of greedy outputs for the same sources",
        ]
    )


def main() -> None:
    """Run the command."""
    app()
