"""The decoding options that a request may give, checked by their one declaration and by the server's limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import declared, names_where, unknown_name, verb_problems
from s2s_runtime.errors import OptionError, UnknownOptionError
from s2s_runtime.one_pass.options import for_positions
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BUNDLES, JSON
from s2s_runtime.serving.options import ServingOptions

_OF_THE_SERVER: Final = ("max_batch_size", "batch_by", "on_error")
_REMEMBERED: Final = 256
BUNDLE_OPTIONS: Final = names_where(DecodingOptions, group=BUNDLES)
"""Names of the decoding options that open bundles, which no request may give."""

REQUEST_OPTIONS: Final = tuple(
    name
    for name, declaration in declared(DecodingOptions).items()
    # no functions, which can't be sent, and no paths, which are the server's
    if declaration.option.typed is not None and name not in (*_OF_THE_SERVER, *BUNDLE_OPTIONS)
)
"""Names of the decoding options that a request may give."""

_OF_EACH: Final = ("prefix", "max_source_length", "return_scores", *names_where(DecodingOptions, group=JSON))

DEFAULT_OPTIONS: Final = tuple(
    name for name in (*REQUEST_OPTIONS, *BUNDLE_OPTIONS, "max_batch_size", "batch_by") if name not in _OF_EACH
)
"""Names of the decoding options that a server may have defaults for."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenOptions:
    """The decoding options of a request, checked.

    Attributes:
        key: the same for the same options.
        options: the options.
        together: whether requests of other callers may be decoded with them in one batch.
    """

    key: str
    options: DecodingOptions
    together: bool


class OptionReader:
    """A reader of the decoding options that requests to a model give.

    Args:
        manifest: manifest of the model's bundle.
        defaults: options of requests that don't give them, and those that are the server's own.
        limits: the most that a request may ask for.

    Raises:
        OptionError: the defaults are wrong or beyond the limits.
    """

    def __init__(self, manifest: Manifest, defaults: Mapping[str, Any], limits: ServingOptions) -> None:
        self._manifest = manifest
        self._defaults = dict(defaults)
        self._limits = limits
        self._known: OrderedDict[str, ChosenOptions] = OrderedDict()
        if manifest.target.feedback != "value":
            self.read({})

    def read(self, given: Mapping[str, Any]) -> ChosenOptions:
        """Return the options of a request: what it gives, and the defaults.

        Args:
            given: options by name, as JSON has them.

        Raises:
            OptionError: an option doesn't exist, is out of range, beyond the limits, or contradicts another.
        """
        try:
            key = repr(sorted(given.items())) if given else ""
        except RecursionError as error:
            raise OptionError("options: nested too deeply") from error
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._checked(key, given)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _checked(self, key: str, given: Mapping[str, Any]) -> ChosenOptions:
        for name in given:
            if name in BUNDLE_OPTIONS:
                raise OptionError(f"{name}: is for whoever starts the server to choose; leave it out")
            if name not in REQUEST_OPTIONS:
                raise UnknownOptionError(unknown_name(name, "a request", REQUEST_OPTIONS, DecodingOptions))
        values = {**self._defaults, **given}
        if isinstance(values.get("max_length_ratio"), list):
            values["max_length_ratio"] = tuple(values["max_length_ratio"])  # JSON knows no tuples
        if self._manifest.kind == "one-pass":
            values = dict(for_positions(values))
        options = DecodingOptions(**values)
        self._check_limits(options)
        most, own = self._limits.max_target_tokens, self._manifest.target.max_length
        bounded = self._manifest.kind != "ctc"  # there the frames bound it
        if bounded and options.max_length is None and (own is None or own > most):
            values["max_length"] = most
        values["max_source_length"] = options.max_source_length or self._limits.max_source_tokens
        options = DecodingOptions(**values)
        return ChosenOptions(key, options, options.prefix is None and not verb_problems(options, "Decoder"))

    def _check_limits(self, options: DecodingOptions) -> None:
        limits = self._limits
        asked = (
            ("max_length", options.max_length, limits.max_target_tokens),
            ("max_source_length", options.max_source_length, limits.max_source_tokens),
            ("beam_size", options.beam_size, limits.max_beams),
            ("num_hypotheses", options.num_hypotheses, limits.max_beams),
            ("beam_size * patience", options.pool, limits.max_beams),
        )
        problems = [
            f"{name}: expected at most {most}, the limit of this server, got {value}"
            for name, value, most in asked
            if value is not None and value > most
        ]
        if problems:
            raise OptionError("; ".join(problems))
