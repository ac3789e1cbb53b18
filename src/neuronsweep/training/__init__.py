"""How one run learns, with Lightning."""
