"""`python -m s2s_export` is `s2s-export`, for machines where the commands aren't on the path."""

from s2s_runtime.console.start import run

run("export")
