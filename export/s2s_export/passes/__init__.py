"""Named passes over graphs."""
