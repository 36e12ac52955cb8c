"""Virtual memory: the ranges of an address space, and what its pages become when they are touched."""
