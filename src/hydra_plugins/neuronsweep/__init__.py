"""Hydra's side of neuronsweep. Hydra imports every module here at every start: keep them thin."""
