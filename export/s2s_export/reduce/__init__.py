"""Fewer bits: int8 and float16."""
