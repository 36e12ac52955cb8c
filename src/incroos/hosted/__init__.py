"""Heaps in a process: what malloc and its kin are made of, in memory that an operating system maps.

malloc has the calls; the small part in C, for what only C can reach, is build/heap_shim.c.
"""
