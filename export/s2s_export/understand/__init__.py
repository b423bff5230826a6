"""What a split model is, in the bundle's terms."""
