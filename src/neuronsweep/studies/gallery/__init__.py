"""The entries of docs/gallery.md: questions about small networks, with sweeps, pictures and answers."""
