"""Measuring how fast a bundle decodes here, from a cold start, in how much memory, and beside another.

`command` is what s2s-bench does; `timing` measures latency and throughput of settings, visited in turn; `comparison`
gives ratios with their confidence; `machine` says where it was; `processes` holds what needs processes of its own.
"""
