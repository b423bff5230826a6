"""Measuring how fast a bundle decodes here, from a cold start, in how much memory, and beside another.

`command` does the work of s2s-bench; `timing` measures latency and throughput of settings, visited in turn;
`comparison` gives ratios with their confidence; `machine` describes the machine; `processes` holds measurements that
need processes of their own.
"""
