"""Configuration: model, data, fit and training, each with its own checks."""
