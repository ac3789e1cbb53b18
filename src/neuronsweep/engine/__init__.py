"""The native engine: C code that trains each run by itself on one thread, with the same bits on every machine."""
