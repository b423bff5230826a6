"""Tables of a recurrent model here beside a small Transformer in CTranslate2."""

from __future__ import annotations

from typing import Any, Final

from report.markdown import figure, spread, table

TITLES: Final = {"recurrent": "recurrent, s2s_runtime", "transformer": "Transformer, CTranslate2"}
KINDS: Final = ("float32", "int8")
SEARCHES: Final = {1: "greedy", 5: "beam 5"}
BATCHES: Final = (1, 32, 256)


def transformer_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables by their markers.

    Args:
        results: as `benchmarks/transformer.py` writes them; what wasn't measured yet is left out.
    """
    return {
        "transformer-models": _models(results),
        "transformer-times": _times(results),
        "transformer-ratios": _ratios(results),
        "transformer-setting": _setting(results),
    }


def _models(results: dict[str, Any]) -> str:
    models = results["models"]
    rows = {
        "parameters": lambda model: f"{model['parameters']:,}",
        "MB on the disk, float32": lambda model: figure(model["megabytes"]["float32"]),
        "MB on the disk, int8": lambda model: figure(model["megabytes"]["int8"]),
        "minutes of training": lambda model: figure(model["minutes"]),
        "processor minutes of them": lambda model: figure(model["processor_minutes"]),
        "epochs": lambda model: figure(model["epochs"]),
    }
    return table(
        ["", *TITLES.values()], [[name, *(row(models[each]) for each in TITLES)] for name, row in rows.items()]
    )


def _times(results: dict[str, Any]) -> str:
    rows = []
    for beam, search in SEARCHES.items():
        for model, title in TITLES.items():
            for kind in KINDS:
                rate = _rate(results, f"{model} {kind}", beam)
                cells = [_throughput(results, f"{model} {kind}", batch, beam) for batch in BATCHES]
                rows.append([f"{title}, {kind}, {search}", *rate, _latency(results, f"{model} {kind}", beam), *cells])
    head = ["", "WER %", "PER %", "ms a word, batch 1", "words/s, batch 1", "batch 32", "batch 256"]
    return table(head, rows)


def _rate(results: dict[str, Any], decoder: str, beam: int) -> list[str]:
    found = [each for each in results.get("rates", []) if (each["decoder"], each["beam"]) == (decoder, beam)]
    return [f"{found[0][name]:.2f}" for name in ("WER", "PER")] if found else ["", ""]


def _visits(results: dict[str, Any], decoder: str, batch: int, beam: int) -> list[dict[str, Any]]:
    wanted = decoder, batch, beam
    return [each for each in results.get("times", []) if (each["decoder"], each["batch"], each["beam"]) == wanted]


def _latency(results: dict[str, Any], decoder: str, beam: int) -> str:
    return spread([1000 * visit["seconds"] / visit["words"] for visit in _visits(results, decoder, 1, beam)])


def _throughput(results: dict[str, Any], decoder: str, batch: int, beam: int) -> str:
    return spread([visit["words"] / visit["seconds"] for visit in _visits(results, decoder, batch, beam)])


def _ratios(results: dict[str, Any]) -> str:
    """Return how many times as long CTranslate2 takes, of visits of the same round."""
    rows = []
    for beam, search in SEARCHES.items():
        for kind in KINDS:
            cells = []
            for batch in BATCHES:
                pairs = [_visits(results, f"{model} {kind}", batch, beam) for model in ("transformer", "recurrent")]
                both = zip(*pairs, strict=True)
                cells.append(spread([theirs["seconds"] / ours["seconds"] for theirs, ours in both]))
            rows.append([f"{kind}, {search}", *cells])
    return table(["CTranslate2 takes so many times as long as s2s_runtime", "batch 1", "batch 32", "batch 256"], rows)


def _setting(results: dict[str, Any]) -> str:
    compared = results["compared"]
    words = next((each["words"] for each in results.get("rates", [])), 0)
    timed = next((each["words"] for each in results.get("times", [])), 0)
    rounds = len(_visits(results, "recurrent float32", 1, 1))
    threads = sorted({visit["threads"] for visit in results.get("times", []) if "transformer" in visit["decoder"]})
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    same, ties = f"{compared['words']} words", f"{compared['near_ties']} near ties"
    said = [
        f"{results['date']}; {results['cpu']}, {results['cores']} cores; {versions}.",
        f"Error rates on {words:,} held-out words; times of {timed} of them, {rounds} rounds, medians and in brackets",
        f"the middle half. On {same} CTranslate2 gave PyTorch's tokens, greedy, and PyTorch's scores, beam 5 ({ties}).",
        f"It was given the fastest of: {'; '.join(threads)}.",
    ]
    return " ".join(said)
