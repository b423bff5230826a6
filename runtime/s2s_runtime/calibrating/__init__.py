"""Fitting the temperature at which a model is as sure as it is right: the command s2s-calibrate."""
