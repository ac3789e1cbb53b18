"""How Lightning trains one run."""
