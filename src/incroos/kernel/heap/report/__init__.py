"""What the heap can tell: a walk over all blocks, leaks, and reports of damage."""
