"""Decode recurrent sequence-to-sequence models with numpy and onnxruntime.

>>> import s2s_runtime
>>> model = s2s_runtime.load("model.s2s")                                        # doctest: +SKIP
>>> [result.text for result in model.generate(["Run!", "Go."], beam_size=5)]     # doctest: +SKIP
['Cours !', 'Va !']
"""

from s2s_runtime.bundle import Manifest, read_manifest
from s2s_runtime.errors import (
    BundleError,
    BundleNotFoundError,
    InputError,
    MissingExtraError,
    OptionError,
    ProviderError,
    S2SError,
    UnknownSymbolError,
    VocabularyError,
)
from s2s_runtime.loading import load
from s2s_runtime.model import Model
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import Hypothesis, Result, TargetScore, TokenEvent
from s2s_runtime.vocabulary import PaddingPolicy, Vocabulary, VocabularyFile

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "BundleNotFoundError",
    "DecodingOptions",
    "Hypothesis",
    "InputError",
    "Manifest",
    "MissingExtraError",
    "Model",
    "OptionError",
    "PaddingPolicy",
    "ProviderError",
    "Result",
    "S2SError",
    "TargetScore",
    "TokenEvent",
    "UnknownSymbolError",
    "Vocabulary",
    "VocabularyError",
    "VocabularyFile",
    "load",
    "read_manifest",
]
