"""`python -m s2s_training` is `s2s-train`, for machines where the commands aren't on the path."""

from s2s_runtime.console.start import run

run("train")
