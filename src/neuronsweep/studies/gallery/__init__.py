"""docs/gallery.md: questions about small networks, each with the sweeps, the picture and the words that answer it."""
