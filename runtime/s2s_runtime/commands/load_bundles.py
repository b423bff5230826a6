"""Loading what commands decode with: one bundle, or several as an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_runtime.console.app import UsageError, warn
from s2s_runtime.errors import OptionError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.ort.sessions import fallback_warning

if TYPE_CHECKING:
    from s2s_runtime import ensembles, loading
    from s2s_runtime.commands.decode_options import LoadOptions
    from s2s_runtime.model import Model
else:
    ensembles, loading = LazyModule("ensembles"), LazyModule("loading")


def load_together(bundle: Path, options: LoadOptions, **how: Any) -> Model:
    """Return one model, or an ensemble of several; `how` holds further arguments of `s2s_runtime.load`."""
    check_weights(options)
    models = load_each([bundle, *options.ensemble_with], options, **how)
    weights = options.ensemble_weight or None
    if len(models) == 1:
        return models[0]
    return ensembles.ensemble(models, mean=options.ensemble_mean, weights=weights, combine=options.ensemble_combine)


def check_weights(options: LoadOptions) -> None:
    """Check the weights of an ensemble.

    Raises:
        UsageError: there are some, but not one above 0 for each bundle.
    """
    weights, count = options.ensemble_weight, 1 + len(options.ensemble_with)
    if weights and (len(weights) != count or min(weights) <= 0):
        raise UsageError(
            f"--ensemble-weight: expected a number above 0 for each of {count} bundles, got "
            f"{', '.join(format(weight, 'g') for weight in weights)}"
        )


def load_each(bundles: Sequence[Path], options: LoadOptions, **how: Any) -> list[Model]:
    """Return the models of bundles; say on stderr where --allow-fallback took another provider."""
    how |= {name: getattr(options, name) for name in ("allow_fallback", "low_memory")}
    how |= {"providers": options.provider, "intra_op_threads": options.threads}
    models = [loading.load(path, **how) for path in bundles]
    if options.output_name is not None:
        try:
            models = [model.output(options.output_name) for model in models]
        except OptionError as error:
            raise OptionError(f"--output-name: {str(error).removeprefix('output: ')}") from error
    if warning := fallback_warning(options.provider, models[0].provider):
        warn(warning)
    return models
