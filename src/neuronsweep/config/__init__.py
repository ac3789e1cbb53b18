"""The config: which keys and values are allowed, and which classes and functions it may name."""
