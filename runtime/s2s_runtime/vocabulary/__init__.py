"""Symbols of a source or a target side: units, ids, padding."""
