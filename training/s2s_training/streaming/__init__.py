"""Pairs that lie on the disk while a run trains: read once, kept as numbers, drawn in blocks."""
