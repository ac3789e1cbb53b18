"""Launchers: who trains the jobs of a sweep, and where."""
