"""How members learn in native code: each by itself, on one thread, with the same bits on every machine."""
