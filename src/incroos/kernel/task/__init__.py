"""Tasks: programs in ring 3, made, begun, ended by themselves or by a signal."""
