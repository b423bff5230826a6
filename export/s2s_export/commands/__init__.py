"""The command s2s-export, and its report."""
