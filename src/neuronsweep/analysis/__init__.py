"""Measurements of finished fits: kinks, errors against the truth, and the best possible fit."""
