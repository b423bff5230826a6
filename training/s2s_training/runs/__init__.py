"""Run folders: what a run keeps, seeds, summaries."""
