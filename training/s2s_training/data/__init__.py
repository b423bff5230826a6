"""Pairs and series: reading, splitting, vocabularies, arrays, tf.data."""
