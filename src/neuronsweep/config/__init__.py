"""What may be said: keys, types, values, and what is instantiated."""
