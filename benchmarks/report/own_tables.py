"""Tables of what this project's own programs measured, beside no peer."""

from __future__ import annotations

import statistics
from typing import Any

from report.markdown import figure, spread, table
from s2s_runtime.bench.processes.memory import STAGES


def own_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of what `s2s-bench --json` wrote."""
    head = ["batch", "beam", "median ms", "90th percentile ms", "99th percentile ms", "sentences/s", "tokens/s"]
    names = ("p50_ms", "p90_ms", "p99_ms", "sentences_per_second", "tokens_per_second")
    rows = [
        [str(each["batch_size"]), str(each["beam_size"]), *(figure(each[name]) for name in names)]
        for each in results["measurements"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    setting = (
        f"{results['bundle']}, {results['inputs']}; {_machine(results)}; "
        f"{results['provider']}; {versions}; loaded in {results['load_seconds']:.2f} s."
    )
    return {"bench": f"{table(head, rows)}\n\n{setting}", **_start_tables(results)}


def _start_tables(results: dict[str, Any]) -> dict[str, str]:
    """Cold starts and memory, where they were measured."""
    if "cold_start" not in results:
        return {}
    start, memory = results["cold_start"], results["memory"]
    steps = ("import_seconds", "load_seconds", "first_result_seconds", "total")
    head = ["a fresh process, ms", "import", "load", "first result", "in all"]
    rows = [
        [title, *(figure(1000 * start["medians"][who][step]) for step in steps)]
        for title, who in (("s2s_runtime", "runtime"), ("onnxruntime alone, the same graphs", "bare"))
    ]
    ratio = start["ratio"]
    times = f"{ratio['value']:.2f} times as long ({ratio['low']:.2f} to {ratio['high']:.2f}, 95% confidence)."
    made = [table(head, rows), f"Median of {len(start['runtime'])} processes each, in turn: {times}"]
    stages = {name: title for name, title in STAGES.items() if name != "peak"}
    rows = [
        [str(each["batch_size"]), *(_megabytes(each["beyond_bare"][stage]) for stage in stages)]
        for each in memory["measurements"]
    ]
    made += [
        table(["resident MB beyond onnxruntime imported; batch", *stages.values()], rows),
        f"The weights are {_megabytes(memory['weights_bytes'])} MB in float32. onnxruntime alone, the same graphs open "
        f"and run once: {_megabytes(graphs_alone(memory))} MB. Most of either is onnxruntime's own code, which is read "
        "from its file when it is first run, and which processes share.",
    ]
    return {"start": "\n\n".join(made)}


def graphs_alone(memory: dict[str, Any]) -> float:
    """Bytes that onnxruntime alone takes, beyond its import, with the graphs open that decode greedily."""
    return statistics.median(memory["bare_first_result"]) - statistics.median(memory["bare"])


def _megabytes(count: float) -> str:
    return figure(count / 1e6)


def growth_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables of what `growth.py` wrote."""
    made = []
    for kind, head in (("batches", "sentences in a batch"), ("lists", "sentences in a list")):
        first = results[kind][0]
        rows = []
        for each in results[kind]:
            ratios = [a / b for a, b in zip(each["seconds_per_token"], first["seconds_per_token"], strict=False)]
            times = [value * 1e6 for value in each["seconds_per_token"]]
            rows.append([f"{each['sentences']:,}", spread(times), spread(ratios)])
        made.append(table([head, "us per token", f"times as long as with {first['sentences']:,}"], rows))
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    setting = (
        f"{results['date']}; {results['model']}; lists in batches of {results['list_batch']}; "
        f"{results['rounds']} rounds; {_machine(results)}; {versions}."
    )
    return {"growth": "\n\n".join([*made, setting])}


def breakdown_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of what `breakdown.py` wrote."""
    sizes = list(results["shares"])
    kinds = list(results["shares"][sizes[0]])
    rows = [
        [kind, *(f"{100 * results['shares'][size][kind] / results['shares'][size]['whole']:.0f}%" for size in sizes)]
        for kind in kinds
        if kind != "whole"
    ]
    head = ["share of a call", *(f"batch {size}" for size in sizes)]
    setting = f"One thread; {results['cpu']}; onnxruntime {results['onnxruntime']}."
    return {"breakdown": f"{table(head, rows)}\n\n{setting}"}


def export_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of how an export's time and memory grow, and on what it was measured."""
    head = [
        "model",
        "parameters",
        "weights, MB",
        "conversion, s",
        "whole export, s",
        "largest memory, MB",
        "by the export",
    ]
    rows = []
    for export in results["exports"]:
        weights, added = 4 * export["parameters"], export["peak"] - export["before"]
        rows.append(
            [
                export["words"],
                f"{export['parameters'] / 1e6:,.1f} million",
                _megabytes(weights),
                figure(export["stages"]["converting"]),
                figure(export["seconds"]),
                _megabytes(export["peak"]),
                f"{_megabytes(added)} ({added / weights:.1f} times)",
            ]
        )
    about = f"{results['date']}; {_machine(results)}{_most_others(results['exports'])}."
    return {"export": f"{table(head, rows)}\n\n{about}"}


def loading_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of what loading takes of memory, and of what sparing it costs, and on what it was measured."""
    cases = [tuple(case.split("/")) for case in results["loadings"][0]["ways"]["low_memory"]["milliseconds"]]
    times = [f"batch {batch}, {'greedy' if beam == '1' else f'beam {beam}'}, ms" for batch, beam in cases]
    head, rows = ["model; most memory by its weights", "loaded", "greedy, one sentence", "and beam 5", *times], []
    for row in results["loadings"]:
        for way, found in row["ways"].items():
            name = row["words"] + ("" if way == "as it is" else f", `{way}`")
            peaks = [f"{peak / row['weights']:.2f}" for peak in found["peaks"].values()]
            rows.append([name, *peaks, *map(figure, found["milliseconds"].values())])
    measured = [way for row in results["loadings"] for way in row["ways"].values()]
    about = f"{results['date']}; {_machine(results)}{_most_others(measured)}."
    return {"loading": f"{table(head, rows)}\n\n{about}"}


def eight_bits_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of what 8 bits gain, times in milliseconds a batch, and on what it was measured."""
    head, rows = ["model", "batch", "beam", "float32, ms", "int8", "int8-weights"], []
    for row in results["eight_bits"]:
        float32, *others = (row["milliseconds"][kind] for kind in ("float32", "int8", "int8-weights"))
        cells = [f"{figure(value)} ({value / float32:.2f} times)" for value in others]
        rows.append([row["model"], str(row["batch"]), str(row["beam"]), figure(float32), *cells])
    return {"eight-bits": f"{table(head, rows)}\n\n{results['date']}; {_machine(results)}{_others(results)}."}


def option_tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of what options cost, beside the plain run of their search, and on what it was measured."""
    rows = results["option_costs"]
    batches = sorted({row["batch"] for row in rows})
    head, made = ["", *(f"batch {batch}: times as long" for batch in batches)], []
    for beam in sorted({row["beam"] for row in rows}):
        search = "greedy search" if beam == 1 else f"beam {beam}"
        own = {(row["title"], row["batch"]): row for row in rows if row["beam"] == beam}
        titles = list(dict.fromkeys(title for title, _ in own))
        plain = [figure(own[titles[0], batch]["plain"]) for batch in batches]
        made.append([f"**{search}**, plain", *(f"{value} ms" for value in plain)])
        made += [[title, *(spread(own[title, batch]["ratios"]) for batch in batches)] for title in titles]
    about = f"{results['date']}; {results['rounds']} rounds; {_machine(results)}{_others(results)}."
    return {"option-costs": f"{table(head, made)}\n\n{about}"}


def _machine(results: dict[str, Any]) -> str:
    return f"{results['cpu']}, {results['cores']} cores"


def _others(results: dict[str, Any]) -> str:
    """Say how many cores other programs used, where that is known."""
    return "" if results["foreign"] is None else f"; other programs used {results['foreign']:.2f} cores"


def _most_others(measured: list[dict[str, Any]]) -> str:
    """Say how many cores other programs used at most, where that is known."""
    used = [each["foreign"] for each in measured if each["foreign"] is not None]
    return f"; other programs used up to {max(used):.2f} cores" if used else ""
