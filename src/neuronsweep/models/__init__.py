"""What learns: the network (mlp), its file (checkpoint) and the LightningModules around it (modules)."""
