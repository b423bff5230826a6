"""Models of several outputs: which of them go into one bundle, and what each is in the bundle's terms."""
