"""What keeps two processors, or two threads, out of each other's way.

The kernel runs on one processor and takes no lock. So that a second one can come, each struct that it would change at
the same time says in its docstring which lock it is under, as "Lock: zone". Who holds one of them may take one that
stands below it here, and none above:

    Lock: zone        one in each zone: its hot lists and its allocator's state, links of free blocks in records too
    Lock: database    one in all: which records can be read, and what they say of blocks that are handed out
    Lock: stock       one in all: the bitmaps, records of tables, early memory, and counts of requests
"""
