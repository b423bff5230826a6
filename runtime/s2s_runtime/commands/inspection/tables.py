"""A manifest as tables for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from rich.table import Table
from rich.text import Text

from s2s_runtime.bundle.manifest import Manifest, OtherSource, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.bundle.provenance import ORIGINS, UNKNOWN, Provenance
from s2s_runtime.bundle.specs import Kind
from s2s_runtime.console.names import Name
from s2s_runtime.ort.thread_rule import rows_by_size
from s2s_runtime.vocabulary.factors import FactoredVocabulary
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary

_SAMPLE: Final = 16
_KINDS: Final = {
    "ids": "token ids",
    "one-hot": "token ids, looked up as one-hot rows",
    "values": "values",
    "vector": "one vector a sentence",
}
KIND_WORDS: Final[Mapping[Kind, str]] = {
    "encoder-decoder": "encoder-decoder: the source once, then a step for each token",
    "one-pass": "one pass: one graph gives the outputs of all positions",
    "decoder-only": "decoder only: no source, a step for each token",
    "ctc": "CTC: one graph gives the outputs of all frames, blanks among them",
}
_FED: Final[Mapping[Kind, str]] = {
    "encoder-decoder": "",
    "one-pass": "none: no position reads what was chosen at another",
    "decoder-only": "",
    "ctc": "none: no frame reads what was chosen at another",
}
_FEEDBACKS: Final = {
    "token": "the token chosen is read next",
    "probabilities": "the softmax of each step is read next",
    "value": "the values written are read next",
    "none": "nothing is read next",
}


def describe(name: str, manifest: Manifest, *, size: int | None = None, every_symbol: bool = False) -> Iterator[Table]:
    """Yield tables of everything in the manifest, but for the ends of hashes and, unless asked for, most symbols.

    Args:
        name: name of the bundle.
        manifest: its manifest.
        size: bytes of all its files, the manifest too; None = not shown.
        every_symbol: whether all symbols of the vocabularies are listed.
    """
    yield _listed(name, _model(manifest, size))
    yield _tensors(manifest)
    yield _graphs(manifest)
    yield _listed("Vocabularies", _vocabularies(manifest, every_symbol))
    setup = setup_table(manifest.setup)
    if manifest.setup is not None:
        setup.caption, setup.caption_justify = Text(manifest.setup.headline), "left"
    yield setup
    rest = dict(manifest.verification)
    checks = rest.get("checks")
    if _is_table(checks):
        yield _table("Checks of the export", checks)
        del rest["checks"]
    if rest:
        yield _listed("Verification", _flat("verified", rest))
    yield _listed("Made with", iter(manifest.producers.items()))


def setup_table(setup: Provenance | None) -> Table:
    """Return how each item of a bundle's set-up is known, and under each what was measured."""
    if setup is None:
        return _listed("Set-up", iter([("how it is known", UNKNOWN)]))
    table = Table("item", "taken to be", "how it is known", title="Set-up", title_justify="left")
    for item in setup.items:
        settled = f"; {item.option} settles it" if item.origin == "assumed" and item.option else ""
        others = [f"expected outputs: {item.untold}"] if item.others else []
        known = [ORIGINS[item.origin] + settled, *others, *map(str, item.signs)]
        table.add_row(item.name, item.value, "\n".join(known))
    return table


def _model(manifest: Manifest, size: int | None) -> Iterator[tuple[str, str]]:
    source, target, padding = manifest.source, manifest.target, manifest.padding
    alone = manifest.kind == "decoder-only"
    reads = "the beginning of what it writes" if alone else _kind(source)
    yield "kind", KIND_WORDS[manifest.kind]
    yield "reads", (f"{source.name}: " if source.others else "") + reads
    for other in source.others:
        steps = ", step by step beside it" if other.aligned else ""
        steps = ", known in advance, read by the decoder step by step (`known`)" if other.known else steps
        padded = "" if other.kind == "vector" or other.known else f"; padding {_padding(other.padding)}"
        if other.name in manifest.factor_names:
            steps, padded = ", a factor of each symbol", f"; padding id {other.padding.id}"
        yield "", f"{other.name}: {_kind(other)}{steps}{padded}"
    yield "writes", _written(target)
    for output in manifest.outputs:
        yield "", _written(output.target)
    yield "feedback", _FED[manifest.kind] or f"{target.feedback}: {_FEEDBACKS[target.feedback]}"
    yield "longest target", str(target.max_length or ("as long as the source" if target.aligned else "unknown"))
    if target.feedback != "value":
        ids = {"start": target.start_id, "end": list(target.end_ids), "padding": target.padding_id}
        named = {**ids, "unknown": target.unknown_id}
        yield "target ids", ", ".join(f"{name} {_or_none(value)}" for name, value in named.items())
    if not alone:
        yield "padding", _padding(padding)
    yield "attention", "yes" if manifest.attention else "no"
    yield "weights", manifest.precision
    if manifest.passes:
        yield "passes", ", ".join(manifest.passes)
    yield "threads", _threads(manifest)
    if size is not None:
        yield "size", f"{size:,} bytes, the manifest included"


def _written(target: TargetSpec) -> str:
    """Return what one output is; of several its name too, and how many there are of it."""
    sizes = f"{target.size} {'features' if target.feedback == 'value' else 'symbols'}{_in_axes(target.step)}"
    if target.name is None:
        return sizes
    count = "one for each step of the source" if target.aligned else f"{target.max_length or 'any number'} in all"
    return f"{target.name}: {sizes}, {count}"


def _threads(manifest: Manifest) -> str:
    """Return what the thread rule chooses where nothing is said about threads."""
    rows = rows_by_size(manifest)
    return f"one for up to {rows:,} rows (sentences times beams), one per core above" if rows else "one per core"


def _kind(source: SourceSpec | OtherSource) -> str:
    unit = "symbols" if source.kind in ("ids", "one-hot") else "features"
    return f"{_KINDS[source.kind]} ({source.kind}), {source.size} {unit}{_in_axes(source.step)}"


def _in_axes(step: tuple[int, ...]) -> str:
    return f" a step, of shape ({', '.join(map(str, step))})" if step else ""


def _padding(padding: PaddingPolicy) -> str:
    masked = "masked by the model" if padding.masked else "read by the model"
    length = "any length" if padding.length is None else f"to {padding.length}"
    return f"{masked}, id {_or_none(padding.id)}, {padding.side}, {length}"


def _or_none(value: object) -> str:
    return "none" if value in (None, []) else str(value)


def _tensors(manifest: Manifest) -> Table:
    table = Table("tensor", "what", "dtype", "shape", title="Inputs, states and memory", title_justify="left")
    groups = (("encoder input", manifest.source.inputs), ("state", manifest.states), ("memory", manifest.memory))
    for what, tensors in groups:
        for tensor in tensors:
            table.add_row(Name(tensor.name), what, tensor.dtype, _shape(tensor))
    return table


def _shape(tensor: TensorSpec) -> str:
    """Return a shape in words: batch first, then time, where these are free."""
    names = ("batch", "time")
    sizes = [names[i] if size is None and i < len(names) else str(size or "?") for i, size in enumerate(tensor.shape)]
    return f"({', '.join(sizes)})"


def _graphs(manifest: Manifest) -> Table:
    table = Table("graph", "file", "bytes", "SHA-256, as recorded", title="Graphs", title_justify="left")
    table.columns[2].justify = "right"
    files = dict(manifest.graphs) | ({} if manifest.weights is None else {"constants of all": manifest.weights})
    for name, file in files.items():
        table.add_row(Name(name), Name(file.file), f"{file.bytes:,}", f"{file.sha256[:12]}...")
    table.add_section()
    table.add_row("all", "", f"{sum(file.bytes for file in files.values()):,}", "")
    return table


def _vocabularies(manifest: Manifest, every_symbol: bool) -> Iterator[tuple[str, str]]:
    target = manifest.target.name or "target"
    source = manifest.source_vocabulary
    factors = source.factors if isinstance(source, FactoredVocabulary) else ()
    sides = [("source", source), *((factor.name, factor) for factor in factors), (target, manifest.target_vocabulary)]
    sides += [(str(output.target.name), output.vocabulary) for output in manifest.outputs]
    for side, vocabulary in sides:
        if vocabulary is None:
            yield side, "none: the model knows numbers only"
        else:
            yield side, _how_cut(vocabulary)
            shown = vocabulary.symbols if every_symbol else vocabulary.symbols[:_SAMPLE]
            more = len(vocabulary) - len(shown)
            yield "", " ".join(map(repr, shown)) + (f" and {more} more" if more else "")


def _how_cut(vocabulary: Vocabulary) -> str:
    parts = [f"{len(vocabulary)} symbols, unit {vocabulary.unit}"]
    if isinstance(vocabulary, FactoredVocabulary):
        parts.append(f"words as {vocabulary.form}")
    for name in ("padding", "unknown", "start", "end"):
        symbol = getattr(vocabulary, name)
        if symbol is not None:
            parts.append(f"{name} {symbol!r}")
    if vocabulary.normalization is not None:
        parts.append(f"normal form {vocabulary.normalization}")
    parts += [name for name in ("lowercase", "reverse") if getattr(vocabulary, name)]
    if vocabulary.removed:
        parts.append(f"without {vocabulary.removed!r}")
    if vocabulary.separators:
        parts.append(f"cut at {vocabulary.separators!r}")
    if vocabulary.skip_unknown:
        parts.append("unknown symbols left out")
    return ", ".join(parts)


def _is_table(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _table(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Return a table of objects with the same fields, one row each."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*(column.replace("_", " ") for column in columns), title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    return table


def _listed(title: str, rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield nested findings as rows with dotted names; a mapping to plain values, such as node types, is one row."""
    if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, Mapping) and name == "verified":
        for key, inner in value.items():
            yield f"{name}.{key}", _shown(inner)
    else:
        yield name, _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
