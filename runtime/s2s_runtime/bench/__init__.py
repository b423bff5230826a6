"""Measuring how fast a bundle decodes here, from a cold start, in how much memory, and beside another.

`s2s-bench` is a thin shell over these modules: `timing` (latency and throughput of settings, visited in turn),
`cold_start` and `memory` (in fresh processes), `comparison` (ratios with their confidence), `machine` (where it was).
"""

from s2s_runtime.bench.machine import Setting, cpu_name
from s2s_runtime.bench.settings import Case, Loading
from s2s_runtime.bench.sources import random_sources
from s2s_runtime.bench.timing import Effort, Measurement, Subject, measure_all

__all__ = [
    "Case",
    "Effort",
    "Loading",
    "Measurement",
    "Setting",
    "Subject",
    "cpu_name",
    "measure_all",
    "random_sources",
]
