"""Tables of the comparison: what is computed from visits, and where it lands."""

from pathlib import Path
from typing import Any

import pytest
import typer
from measuring.cases import CASES
from redraw import tables_of
from report.machines import keep, machine_table
from report.markdown import README, has_place, write_tables
from report.own_tables import (
    breakdown_tables,
    eight_bits_tables,
    export_tables,
    growth_tables,
    loading_tables,
    own_tables,
)
from report.peer_tables import gpu_tables, peer_tables
from report.targets import targets_table

from s2s_runtime.declared_options.declared import declared, names_where
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import ONLY_STEPS

CELLS = [{"batch": 1, "beam": 1, "sentences": 0}, {"batch": 32, "beam": 1, "sentences": 0}]


def series(peer: str, cell: dict[str, int], visits: list[float], differing: int = 0) -> dict[str, Any]:
    return {"peer": peer, "cell": cell, "repeats": 3, "differing": differing, "visits": visits, "foreign": [0.0]}


def described(title: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "versions": {"it": "1.0"}, "threads": 2, "may_differ": {}} | more


def results(**changes: Any) -> dict[str, Any]:
    """Ours takes 1, 2, 3 s in three rounds, the other three times as long in each."""
    found: dict[str, Any] = {
        "case": "canonical",
        "unit": "step",
        "date": "today",
        "model": "random weights",
        "shape": "small",
        "steps": 10,
        "products": [],
        "cells": CELLS[:1],
        "rounds": 3,
        "machine": {"cpu": "a CPU", "cores": 2, "cores_used": 2, "system": "Linux"},
        "peers": {"other": described("The other"), "ours": described("s2s_runtime")},
        "series": [series("other", CELLS[0], [3.0, 6.0, 9.0]), series("ours", CELLS[0], [1.0, 2.0, 3.0])],
    }
    return found | changes


def test_ratios_are_taken_between_visits_of_the_same_round() -> None:
    """However much the machine's speed changes from round to round, three times as long is three times as long."""
    made = peer_tables(results())
    assert "| The other | 3.00 (3.00 to 3.00) |" in made["canonical-ratios"]
    assert "| The other | 600,000 (450,000 to 750,000) |" in made["canonical-times"]


def test_units() -> None:
    """A batch's time is that of one batch, however many were decoded; sentences per second count all of them."""
    cell = {"batch": 1, "beam": 1, "sentences": 8}
    timed = [series("ours", cell, [0.8])]
    peers = {"ours": described("s2s_runtime")}
    made = [
        peer_tables(results(unit=unit, cells=[cell], series=timed, peers=peers))["canonical-times"]
        for unit in ("batch", "sentences")
    ]
    assert "| s2s_runtime | 100 (" in made[0]
    assert "| s2s_runtime | 10.0 (" in made[1]


def test_share_of_the_limit() -> None:
    """The limit is the fastest library's; a peer that takes twice as long reaches half of it."""
    peers = {"ours": described("s2s_runtime")} | {f"products:{name}": described(name) for name in ("slow", "fast")}
    timed = [series("ours", CELLS[0], [2.0]), series("products:slow", CELLS[0], [4.0])]
    timed.append(series("products:fast", CELLS[0], [1.0]))
    made = peer_tables(results(peers=peers, series=timed, products=[(10, 50, 1_000_000)]))
    assert "1.00 GFLOP/s (fast)" in made["canonical-limit"]
    assert "| s2s_runtime | 50% (50 to 50) |" in made["canonical-limit"]
    assert "fast" not in made["canonical-times"]


def test_a_peer_that_cant_run_has_a_row_and_a_reason() -> None:
    """What is missing on a machine is said, not left out."""
    peers = {"other": {"title": "The other", "unavailable": "it needs a compiler"}, "ours": described("s2s_runtime")}
    made = peer_tables(results(peers=peers, series=[series("ours", CELLS[0], [1.0])]))
    assert "| The other | not here |" in made["canonical-times"]
    assert "- The other: not measured, as it needs a compiler" in made["canonical-setting"]


def test_differing_sentences_are_counted_with_their_reason() -> None:
    """A peer that may give other tokens says how often it did, and why."""
    peers = {"ours": described("s2s_runtime"), "ours:int8": described("int8", may_differ={"1": "8 bits"})}
    timed = [series("ours", CELLS[1], [2.0]), series("ours:int8", CELLS[1], [1.0], differing=5)]
    made = peer_tables(results(peers=peers, series=timed, cells=CELLS[1:]))
    assert "sentences that differ from the reference: 5 of 32 (greedy, batch 32): 8 bits" in made["canonical-setting"]
    assert "| s2s_runtime | 2.00 (" in made["canonical-ratios"]  # times as long as int8
    timed[1]["differing"] = 0
    made = peer_tables(results(peers=peers, series=timed, cells=CELLS[1:]))
    assert made["canonical-setting"].endswith("0 of 32 (greedy, batch 32)")


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_its_place_in_the_readme(name: str) -> None:
    """What `make bench-peers` measures, README.md shows."""
    timed = results(case=name)
    assert has_place(README, peer_tables(timed))
    assert has_place(README, targets_table({}) | growth_tables(grown()) | own_tables(started()))


def grown() -> dict[str, Any]:
    sizes = [
        {"sentences": 1000, "seconds_per_token": [1e-6, 2e-6]},
        {"sentences": 100_000, "seconds_per_token": [1e-6, 3e-6]},
    ]
    setting = {"date": "today", "model": "m", "list_batch": 256, "rounds": "2", "cpu": "c", "cores": 2, "versions": {}}
    return {"batches": sizes[:1], "lists": sizes, **setting}


def test_growth_is_against_the_smallest_of_the_same_round() -> None:
    """Lists that take 1 and 1.5 times as long per token as the shortest in two rounds: 1.25 times."""
    assert "| 100,000 | 2.00 (1.50 to 2.50) | 1.25 (1.12 to 1.38) |" in growth_tables(grown())["growth"]


def test_targets_take_the_fastest_peer_of_each_batch_size() -> None:
    """The target is against the fastest: not the mean, not the published loop."""
    peers = {"keras_predict": described("Keras"), "jax_scan": described("JAX"), "ours": described("s2s_runtime")}
    timed = [
        series("keras_predict", CELLS[0], [1000.0]),
        series("jax_scan", CELLS[0], [1.5]),
        series("ours", CELLS[0], [1.0]),
    ]
    made = targets_table({"canonical": results(peers=peers, series=timed), "growth": grown()})["targets"]
    assert "| batch 1, canonical, against the fastest peer | 1.2 times | 1.50 (1.50 to 1.50), JAX |" in made
    assert "| 1,500 times | 1,000 (1,000 to 1,000) |" in made
    assert "| time per token as the list grows | at most +10% | +33% (1,000 to 100,000) |" in made


def started() -> dict[str, Any]:
    """What `own.py` keeps: weights of 2 MB, 15 MB loaded, of which onnxruntime alone takes 10."""
    steps = ("import_seconds", "load_seconds", "first_result_seconds", "total")
    medians = {"runtime": dict.fromkeys(steps, 0.1) | {"total": 0.3}, "bare": dict.fromkeys(steps, 0.05)}
    beyond = {"loaded": 15e6, "first_result": 16e6, "decoded": 17e6}
    weighed = [{"batch_size": size, "beyond_bare": beyond} for size in (32, 256)]
    return {
        "measurements": [],
        "cold_start": {"medians": medians, "ratio": {"value": 1.5, "low": 1.4, "high": 1.6}, "runtime": [{}, {}]},
        "memory": {"bare": [4e7], "bare_first_result": [5e7], "weights_bytes": 2_000_000, "measurements": weighed},
        "bundle": "b", "inputs": "i", "cpu": "c", "cores": 2, "provider": "p", "versions": {}, "load_seconds": 0.1,
    }  # fmt: skip


def test_cold_starts_and_memory_have_their_tables() -> None:
    """And their rows among the targets, where they were measured."""
    made = own_tables(started())["start"]
    assert "| s2s_runtime | 100 | 100 | 100 | 300 |" in made
    assert "2 processes each, in turn: 1.50 times as long (1.40 to 1.60, 95% confidence)" in made
    assert "| 256 | 15.0 | 16.0 | 17.0 |" in made
    assert "The weights are 2.00 MB in float32" in made
    rows = targets_table({"own": started()})["targets"]
    assert "| under 0.6 s | 0.30 s |" in rows
    assert "| at most 1.3 times | 1.50 times |" in rows
    assert "| at most 3 times | 7.5 times beyond its import, 2.5 beyond the same graphs open |" in rows
    without = {name: value for name, value in started().items() if name not in ("cold_start", "memory")}
    assert list(own_tables(without)) == ["bench"]
    assert "| under 0.6 s |  |" in targets_table({"own": without})["targets"]


def test_results_of_other_programs_have_no_table_here() -> None:
    """What `passes.py` keeps beside the others goes into a document of its own."""
    assert tables_of({"threads": 1, "measurements": [{"model": "translator", "ratios": [1.0]}]}) == {}
    assert "start" in tables_of(started())


def test_shares_of_a_call_have_their_table() -> None:
    """Each kind by all of the call, whatever the unit."""
    shares = {"1": {"Python": 20.0, "products": 60.0, "whole": 80.0}, "32": {"Python": 1, "products": 9, "whole": 10}}
    made = breakdown_tables({"shares": shares, "cpu": "c", "onnxruntime": "o"})
    assert "| share of a call | batch 1 | batch 32 |" in made["breakdown"]
    assert "| products | 75% | 90% |" in made["breakdown"]
    assert "whole" not in made["breakdown"]
    assert has_place(README, made)


def test_a_missing_marker_is_named(tmp_path: Path) -> None:
    """A document without a table's place is an error that names the place."""
    document = tmp_path / "README.md"
    document.write_text("<!-- times -->\nold\n<!-- end times -->\n", encoding="utf-8")
    write_tables(document, {"times": "new"})
    assert document.read_text(encoding="utf-8") == "<!-- times -->\nnew\n<!-- end times -->\n"
    with pytest.raises(ValueError, match="<!-- ratios -->"):
        write_tables(document, {"ratios": "new"})


def test_the_table_of_exports() -> None:
    """What the export took of memory beyond the model, and how many times the weights that is; it has its place."""
    export = {
        "words": "8 words, one layer of 2",
        "parameters": 1_000_000,
        "seconds": 12.3,
        "stages": {"splitting": 0.1, "converting": 2.5, "verifying": 9.0},
        "before": 600_000_000,
        "peak": 608_000_000,
        "foreign": None,
    }
    results = {"date": "today", "cpu": "a CPU", "cores": 2, "exports": [export]}
    made = export_tables(results)
    assert "| 8 words, one layer of 2 | 1.0 million | 4.00 | 2.50 | 12.3 | 608 | 8.00 (2.0 times) |" in made["export"]
    assert made["export"].endswith("today; a CPU, 2 cores.")
    assert has_place(README, made)
    assert tables_of(results) == made


def test_the_table_of_loading() -> None:
    """Peaks as multiples of the weights, and milliseconds, a row for each way to load; it has its place."""
    way = {
        "peaks": {"loaded": 170, "greedy": 171, "beam": 220},
        "milliseconds": {"1/1": 4.0, "32/5": 90.0},
        "foreign": 0.1,
    }
    spared = {**way, "peaks": {"loaded": 102, "greedy": 103, "beam": 105}}
    rows = [{"words": "8 words", "weights": 100, "ways": {"as it is": way, "low_memory": spared}}]
    results = {"date": "today", "cpu": "a CPU", "cores": 2, "loadings": rows}
    made = loading_tables(results)
    assert "| 8 words | 1.70 | 1.71 | 2.20 | 4.00 | 90.0 |" in made["loading"]
    assert "| 8 words, `low_memory` | 1.02 | 1.03 | 1.05 | 4.00 | 90.0 |" in made["loading"]
    assert "batch 1, greedy, ms | batch 32, beam 5, ms" in made["loading"]
    assert made["loading"].endswith("today; a CPU, 2 cores; other programs used up to 0.10 cores.")
    assert has_place(README, made)
    assert tables_of(results) == made


def test_a_size_that_there_is_not_is_refused() -> None:
    """By both programs that go by sizes, before anything is exported."""
    from export_growth import growth
    from loading import loading_costs

    for program in (growth, loading_costs):
        with pytest.raises(typer.BadParameter, match="--only: expected sizes from 1 to 4, got 9"):
            program(only="2,9")


def test_the_table_of_8_bits() -> None:
    """Milliseconds, and how many times float32's they are; it has its place."""
    row = {"model": "it", "batch": 8, "beam": 1, "milliseconds": {"float32": 4.0, "int8": 1.0, "int8-weights": 5.0}}
    results = {"date": "today", "cpu": "a CPU", "cores": 2, "foreign": 0.1, "eight_bits": [row]}
    made = eight_bits_tables(results)
    assert "| it | 8 | 1 | 4.00 | 1.00 (0.25 times) | 5.00 (1.25 times) |" in made["eight-bits"]
    assert made["eight-bits"].endswith("today; a CPU, 2 cores; other programs used 0.10 cores.")
    assert has_place(README, made)
    assert tables_of(results) == made


def test_costs_that_were_measured_in_parts() -> None:
    """A part replaces its rows and keeps the others, in the order of the table; other programs' share is the most."""
    from option_costs import GREEDY, joined, part_of

    def row(number: int, foreign: float) -> dict[str, object]:
        return {"beam": 1, "batch": 1, "title": GREEDY[number].title, "foreign": foreign}

    kept = {"date": "yesterday", "foreign": 0.9, "option_costs": [row(0, 0.2), row(2, 0.9)]}
    made = joined(kept, {"date": "today", "foreign": 0.1, "option_costs": [row(1, 0.1), row(2, 0.1)]})
    assert made == {"date": "today", "foreign": 0.2, "option_costs": [row(0, 0.2), row(1, 0.1), row(2, 0.1)]}
    assert part_of("2/4") == (2, 4)
    for wrong in ("5/4", "0/4", "2", "a/b"):
        with pytest.raises(typer.BadParameter, match="expected a part of parts such as 2/4"):
            part_of(wrong)


def test_what_goes_step_by_step_has_its_cost_measured() -> None:
    """An option that keeps a search from the graphs has a row in the table of costs, and a row names options alone."""
    from option_costs import SEARCHES

    timed = {name for _, rows in SEARCHES for row in rows for name in row.options}
    assert timed <= declared(DecodingOptions).keys()
    assert set(names_where(DecodingOptions, engines=ONLY_STEPS)) <= timed


def test_costs_of_options_are_ratios_of_a_round() -> None:
    """A row is how many times as long as the plain run of the same round an option takes, at each batch."""
    row = {"beam": 1, "title": "`bias`", "batch": 1, "plain": 2.0, "milliseconds": 6.0, "ratios": [3.0, 3.0, 3.0]}
    rows = [row, {**row, "batch": 32, "plain": 5.0, "ratios": [2.0, 2.0, 2.0]}]
    result = {"date": "today", "cpu": "a CPU", "cores": 2, "rounds": 3, "foreign": None, "option_costs": rows}
    [made] = tables_of(result).values()
    assert "| **greedy search**, plain | 2.00 ms | 5.00 ms |" in made
    assert "| `bias` | 3.00 (3.00 to 3.00) | 2.00 (2.00 to 2.00) |" in made
    assert has_place(README, tables_of(result))


def test_every_kind_of_machine_has_a_row_with_its_own_spread(tmp_path: Path) -> None:
    """A file for each kind, a case measured again replaced, cores that weren't used told, busy machines too."""
    other_kind = {"cpu": "Another (R) CPU", "cores": 8, "cores_used": 1, "system": "Linux"}
    busy = [series("other", CELLS[0], [4.0, 4.0, 4.0]), series("ours", CELLS[0], [1.0, 2.0, 4.0])]
    for each in busy:
        each["foreign"] = [1.5]
    first = keep(results(title="a model", date="2020-01-01 00:00 UTC"), tmp_path)
    assert keep(results(title="a model", date="2026-11-28 14:00 UTC"), tmp_path) == first
    second = keep(results(title="a model", date="2026-11-28", machine=other_kind, series=busy), tmp_path)
    assert (first.name, second.name) == ("a-cpu-2-cores.json", "another-r-cpu-8-cores.json")
    lines = machine_table(tmp_path)["machines"].splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == [
        "a CPU, 2 of 2, 2026-11-28",
        "Another (R) CPU, 1 of 8, 2026-11-28; **busy: others used 1.50 cores**",
    ]
    assert [line.split(" | ")[5] for line in lines] == ["3.00 (3.00 to 3.00)", "2.00 (1.50 to 3.00)"]


def test_a_part_of_ours_is_no_peer_and_texts_are_told_from_ids(tmp_path: Path) -> None:
    """The bundle's graph alone is quicker than what holds it: the fastest peer is another, from ids and from texts."""
    cells = [{**CELLS[0], "texts": texts} for texts in (False, True)]
    names = {"tagger_onnx:graph": "The graph", "tagger_onnx:plain": "Plain", "ours": "s2s_runtime"}
    peers = {name: described(title) for name, title in names.items()}
    times = {"tagger_onnx:graph": 0.5, "tagger_onnx:plain": 2.0, "ours": 1.0}
    timed = [series(name, cell, [seconds]) for cell in cells for name, seconds in times.items()]
    keep(results(title="a tagger", peers=peers, cells=cells, series=timed), tmp_path)
    lines = machine_table(tmp_path)["machines"].splitlines()[2:]
    step = "us per decoding step of the whole batch"
    assert [line.split(" | ")[0] for line in lines] == [
        f"| a tagger, greedy, batch 1, {step}",
        f"| a tagger, greedy, texts, batch 1, {step}",
    ]
    assert [line.split(" | ")[4] for line in lines] == ["Plain (of 1)"] * 2


def test_the_table_of_machines_is_that_of_the_files_kept() -> None:
    """README.md shows what lies in `machines/`."""
    assert machine_table()["machines"].strip() in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("device", "is_told"), [("host", True), ("cuda", False)])
def test_what_was_not_run_on_a_gpu_says_so(device: str, *, is_told: bool) -> None:
    """Times of a rehearsal on the CPU can't be taken for those of a GPU; ratios are to our own whole graphs."""
    peers = {"torch_eager:it": described("PyTorch"), f"ours:{device}": described("s2s_runtime, there")}
    timed = [series("torch_eager:it", CELLS[0], [4.0]), series(f"ours:{device}", CELLS[0], [1.0])]
    more = {"own": [f"ours:{device}"], "device": device}
    found = results(case="gpu-canonical", peers=peers, series=timed) | more
    made = gpu_tables(found)
    assert tables_of(found) == made
    assert has_place(README, made)
    assert ("Not yet run on a GPU" in made["gpu-canonical-times"]) is is_told
    assert "| PyTorch | 4.00 (4.00 to 4.00) |" in made["gpu-canonical-ratios"]
