"""Making automata of the options that constrain whole outputs, and refusing what can't be met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.constraints.allowed_sequences import SequenceTrie
from s2s_runtime.constraints.automaton import Automaton
from s2s_runtime.constraints.given_tokens import phrase_ids
from s2s_runtime.constraints.phrase_weights import PhraseWeights
from s2s_runtime.constraints.required_phrases import MOST_PHRASES, RequiredPhrases
from s2s_runtime.constraints.token_rules import NEVER_WRITTEN, TokenRules
from s2s_runtime.errors import OptionError
from s2s_runtime.options import DecodingOptions, Phrase


def make_automata(options: DecodingOptions, manifest: Manifest, rules: TokenRules) -> list[Automaton]:
    """Return the automata that options ask for.

    Args:
        options: how to decode.
        manifest: of the bundle.
        rules: what the other options say of tokens.

    Raises:
        OptionError: nothing meets a constraint, or it names what the bundle doesn't know.
    """
    automata: list[Automaton] = []
    if options.allowed_sequences is not None:
        _need_end("allowed_sequences", rules)
        automata.append(_trie(options.allowed_sequences, manifest, rules))
    if options.bias:
        automata.append(_weights(options.bias, manifest))
    if len(options.required_phrases):
        automata.append(_required(options.required_phrases, manifest, rules))
    return automata


def _weights(bias: Mapping[Any, float], manifest: Manifest) -> PhraseWeights:
    weights: dict[tuple[int, ...], float] = {}
    for phrase, weight in bias.items():
        ids = tuple(phrase_ids("bias", phrase, manifest))
        if not ids:
            raise OptionError("bias: expected phrases of at least one token, got an empty one")
        weights[ids] = weights.get(ids, 0.0) + float(weight)
    return PhraseWeights(weights, manifest.target.size)


def _required(phrases: Sequence[Phrase], manifest: Manifest, rules: TokenRules) -> RequiredPhrases:
    if len(phrases) > MOST_PHRASES:
        raise OptionError(f"required_phrases: expected at most {MOST_PHRASES}, got {len(phrases)}")
    ends, every = set(rules.end_ids.tolist()), []
    for i, phrase in enumerate(phrases):
        name = f"required_phrases[{i}]"
        ids = phrase_ids(name, phrase, manifest)
        if not ids:
            raise OptionError(f"{name}: expected at least one token, got none")
        if not ends.isdisjoint(ids):
            raise OptionError(f"{name}: holds an end token, after which nothing follows; leave it out")
        if not rules.may_write(ids):
            raise OptionError(f"{name}: {NEVER_WRITTEN}")
        every.append(tuple(ids))
    return RequiredPhrases(every, manifest.target.size, rules.end_ids)


def _need_end(name: str, rules: TokenRules) -> None:
    if not set(rules.end_ids.tolist()) - set(rules.banned.tolist()):
        raise OptionError(f"{name}: needs an end token, which this bundle doesn't have, or which is suppressed")


def _trie(sequences: Sequence[Phrase], manifest: Manifest, rules: TokenRules) -> SequenceTrie:
    if not len(sequences):
        raise OptionError("allowed_sequences: expected at least one sequence, got none")
    ends = set(rules.end_ids.tolist())
    allowed, left_out = [], Counter[str]()
    for i, sequence in enumerate(sequences):
        ids = phrase_ids(f"allowed_sequences[{i}]", sequence, manifest)
        ids = ids[:-1] if ids and ids[-1] in ends else ids
        if not ends.isdisjoint(ids):
            raise OptionError(f"allowed_sequences[{i}]: holds an end token, after which nothing follows; leave it out")
        obstacle = rules.obstacle(ids)
        if obstacle:
            left_out[obstacle] += 1
        else:
            allowed.append(ids)
    if not allowed:
        reasons = ", ".join(f"{count} {obstacle}" for obstacle, count in left_out.most_common())
        raise OptionError(f"allowed_sequences: none of the {len(sequences)} may be written: {reasons}")
    return SequenceTrie(allowed, manifest.target.size, rules.end_ids)
