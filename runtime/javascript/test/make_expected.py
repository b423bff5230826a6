"""Write what the runtime gives, for the JavaScript module to be compared with: `make_expected.py FOLDER BUNDLE...`.

FOLDER gets `cases.json` and a copy of each bundle, as a folder and as a zip file. Of each bundle 500 sources are
decoded: those of the `test.tsv` beside it where there is one, else random ids, as texts where it reads texts.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from pathlib import Path
from typing import Any

import s2s_runtime
from s2s_runtime.errors import UnknownSymbolError
from s2s_runtime.vocabulary.vocabulary import Vocabulary

SENTENCES = 500
LENGTHS = 12
OPTIONS: list[dict[str, Any]] = [
    {},
    {"beamSize": 5, "numHypotheses": 3},
    {"beamSize": 3, "numHypotheses": 3, "lengthPenalty": 0.5, "maxLength": 7},
]
NAMES = {"beamSize": "beam_size", "numHypotheses": "num_hypotheses", "lengthPenalty": "length_penalty"}
NAMES |= {"maxLength": "max_length", "returnAttention": "return_attention", "maxBatchSize": "max_batch_size"}
# What cutting and joining have to get right: marks, joiners, numbers, wide punctuation, quotes, odd white space.
TEXTS = [
    "Don't go, Tom!",
    'He said "yes" and (perhaps) \u201eno\u201c \u2013 \u201cso\u201d.',
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964",
    "\u00ab 3.14 \u00bb, 1,000 well-known r\u00e9sum\u00e9s\u2026 e\u0301a",
    "\u4eca\u65e5\u306f\u3001\u4e16\u754c\uff01 \uff08\u30c6\u30b9\u30c8\uff09 \u30fb x",
    "a\u0085b\u001cc\u00a0d\ufeffe\u2003f\u200dg",
    "\u0130stanbul STRASSE \u03a3\u03a3 \U0001d7d8 \u2167 \u00bd \u00b2",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f600!? _x_ a--b 12:30 1/2",
    "t\u0361\u0283\u02d0 e\u02d0 t\u02b2 p\u02b0 \u02d0",
    "#a,b;;c, d#",
    "",
]


def main() -> None:
    """Write the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    cases = []
    for bundle in arguments.bundles:
        name = f"{bundle.parent.name}-{bundle.stem}"
        shutil.copytree(bundle, arguments.folder / name)
        shutil.make_archive(str(arguments.folder / name), "zip", bundle.parent, bundle.name)
        cases.append({"bundle": name, **decoded(bundle)})
    document = {"vocabularies": cut_and_joined(), "bundles": cases}
    (arguments.folder / "cases.json").write_text(json.dumps(document), encoding="utf-8")


def decoded(bundle: Path) -> dict[str, Any]:
    """Return sources and the results of each set of options."""
    model = s2s_runtime.load(bundle)
    written = bundle.parent / "test.tsv"
    if written.is_file():
        lines = written.read_text(encoding="utf-8").splitlines()
        inputs = list(dict.fromkeys(line.split("\t")[0] for line in lines))[:SENTENCES]
    else:
        inputs = sources(model, random.Random(bundle.name))
    options = [*OPTIONS, {**OPTIONS[1], "returnAttention": True}] if model.manifest.attention else OPTIONS
    runs = []
    for given in options:
        results = model.generate(inputs, **{NAMES[name]: value for name, value in given.items()})
        runs.append({"options": given, "results": [[hypothesis(one) for one in r.hypotheses] for r in results]})
    return {"inputs": inputs, "runs": runs}


def sources(model: s2s_runtime.Model, chance: random.Random) -> list[Any]:
    """Return distinct sources that the model can read."""
    manifest = model.manifest
    longest = manifest.padding.length or LENGTHS
    drawn: dict[tuple[int, ...], Any] = {}
    for _ in range(50 * SENTENCES):
        length = chance.randint(1, longest)
        ids = [chance.randrange(manifest.source.size) for _ in range(length)]
        given: Any = ids
        if manifest.source_vocabulary is not None:
            given = manifest.source_vocabulary.decode(ids)
            try:
                ids = manifest.source_vocabulary.encode_sentence(given)
            except UnknownSymbolError:  # a symbol of the padding, spelled out
                continue
        elif manifest.padding.masked:
            given = ids = [token for token in ids if token != manifest.padding.id]
        if 0 < len(ids) <= longest:
            drawn.setdefault(tuple(ids), given)
    return list(drawn.values())[:SENTENCES]


def hypothesis(found: Any) -> dict[str, Any]:
    """Return a hypothesis as the module gives it."""
    attention = None if found.attention is None else [[float(weight) for weight in row] for row in found.attention]
    score = None if found.score is None else float(found.score)
    return {
        "text": found.text,
        "tokens": list(found.tokens),
        "ids": list(found.ids),
        "score": score,
        "attention": attention,
    }


def cut_and_joined() -> list[dict[str, Any]]:
    """Return sides of vocabularies, the symbols that each cuts texts into, and these joined again."""
    forms: list[dict[str, Any]] = [
        {"unit": "char", "normalization": "NFD"},
        {"unit": "char", "lowercase": True},
        {"unit": "word", "normalization": "NFKC"},
        {"unit": "word", "word_rule": 2},
        {"unit": "word", "word_rule": 2, "lowercase": True, "normalization": "NFC", "removed": "!,"},
        {"unit": "symbol"},
        {"unit": "symbol", "separators": " ,;", "removed": "#"},
        {"unit": "phone"},
    ]
    cases = []
    for form in forms:
        vocabulary = Vocabulary(symbols=("<unk>",), unknown="<unk>", **form)
        cut = [vocabulary.split(text) for text in TEXTS]
        joined = [vocabulary.join(symbols) for symbols in cut]
        cases.append({"side": vocabulary.to_dict(), "texts": TEXTS, "cut": cut, "joined": joined})
    return cases


if __name__ == "__main__":
    main()
