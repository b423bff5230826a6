"""Trying decoding options on development data, and telling which do best: s2s-tune."""
