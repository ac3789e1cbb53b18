"""The network (mlp), its losses and diagnostics, its file (checkpoint), and the LightningModules (modules)."""
