"""The command s2s-train."""
