"""How many learn at once: the runs of a sweep as one tensor program. Imports torch, never lightning."""
