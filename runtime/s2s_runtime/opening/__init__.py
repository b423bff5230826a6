"""Opening the graphs of a bundle as a step model."""
