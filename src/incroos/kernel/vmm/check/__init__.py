"""Checkers of page tables: a walk over the tree, and one in the order of addresses."""
