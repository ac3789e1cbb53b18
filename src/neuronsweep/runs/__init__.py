"""How runs are asked for, placed and kept."""
