"""Kept results as tables of the documents."""
