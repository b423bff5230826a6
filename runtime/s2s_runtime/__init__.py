"""Decode recurrent sequence-to-sequence models with numpy and onnxruntime.

>>> import s2s_runtime
>>> model = s2s_runtime.load("model.s2s")                                        # doctest: +SKIP
>>> [result.text for result in model.generate(["Run!", "Go."], beam_size=5)]     # doctest: +SKIP
['Cours !', 'Va !']
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "BundleNotFoundError",
    "CancelledError",
    "ClosedModelError",
    "Decoder",
    "DecoderState",
    "DecodingOptions",
    "FileReport",
    "Hypothesis",
    "InputError",
    "Lexicon",
    "Manifest",
    "MissingExtraError",
    "Model",
    "OptionError",
    "OptionValues",
    "PaddingPolicy",
    "ProviderError",
    "QueueFullError",
    "Result",
    "Results",
    "RunError",
    "S2SError",
    "TargetScore",
    "TokenEvent",
    "UnknownOptionError",
    "UnknownSymbolError",
    "Vocabulary",
    "VocabularyError",
    "VocabularyFile",
    "ensemble",
    "load",
    "read_lexicon",
    "read_manifest",
]

if TYPE_CHECKING:
    from s2s_runtime.batch_decoder import Decoder, QueueFullError
    from s2s_runtime.bundle.manifest_file import Manifest, read_manifest
    from s2s_runtime.decoding.decoder_state import DecoderState
    from s2s_runtime.decoding.text_files import FileReport
    from s2s_runtime.ensembles import ensemble
    from s2s_runtime.errors import (
        BundleError,
        BundleNotFoundError,
        CancelledError,
        ClosedModelError,
        InputError,
        MissingExtraError,
        OptionError,
        ProviderError,
        RunError,
        S2SError,
        UnknownOptionError,
        UnknownSymbolError,
        VocabularyError,
    )
    from s2s_runtime.lexicon.lexicon import Lexicon
    from s2s_runtime.lexicon.lexicon_files import read_lexicon
    from s2s_runtime.loading import load
    from s2s_runtime.model import Model
    from s2s_runtime.options import DecodingOptions, OptionValues, TokenEvent
    from s2s_runtime.results import Hypothesis, Result, Results, TargetScore
    from s2s_runtime.vocabulary.vocabulary_file import PaddingPolicy, Vocabulary, VocabularyFile

# Imported when first used: a command's --help should not wait for numpy.
_MODULES = {
    "bundle.manifest_file": ("Manifest", "read_manifest"),
    "decoding.decoder_state": ("DecoderState",),
    "batch_decoder": ("Decoder", "QueueFullError"),
    "ensembles": ("ensemble",),
    "decoding.text_files": ("FileReport",),
    "lexicon.lexicon": ("Lexicon",),
    "lexicon.lexicon_files": ("read_lexicon",),
    "loading": ("load",),
    "model": ("Model",),
    "options": ("DecodingOptions", "OptionValues", "TokenEvent"),
    "results": ("Hypothesis", "Result", "Results", "TargetScore"),
    "vocabulary.vocabulary_file": ("PaddingPolicy", "Vocabulary", "VocabularyFile"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if "logging" in sys.modules:  # else it is imported when something here has a word to say
    import_module(f"{__name__}.lazy_modules").logger_of(__name__)  # silent, unless the application listens


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
