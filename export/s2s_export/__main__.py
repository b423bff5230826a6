"""`python -m s2s_export` is `s2s-export`, for machines where the commands aren't on the path."""

from s2s_export.commands.export import main

main()
