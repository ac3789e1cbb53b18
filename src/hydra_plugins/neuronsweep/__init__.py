"""Hydra plugins: launchers and sweepers. Hydra imports all of them at every start, so keep them small."""
