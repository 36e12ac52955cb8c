"""A memory manager for x86-64 kernels in Python: one text, interpreted, compiled and booted."""
