"""Connectionist temporal classification: from the distribution of each frame to symbols, and back to their frames."""
