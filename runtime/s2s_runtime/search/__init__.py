"""Greedy and beam search, over anything that encodes and steps."""
