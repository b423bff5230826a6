"""Encoder-decoders, built from layers."""
