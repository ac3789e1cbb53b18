"""Searches with Optuna: spaces, samplers, pruners, studies, and how their trials are trained."""
