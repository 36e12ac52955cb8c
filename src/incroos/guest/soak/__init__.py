"""Soak: a long random mix of all that the memory manager does, made up, carried out and verified by the kernel itself.

    Soak   state of the generator, counts | slot 0 | slot 1 | ...        a block of the heap

Each slot is empty or has one thing: a frame, a page, a chunk, a range of vmalloc, a range of pages, a large page. An
operation picks a slot and fills it, changes what it has, or gives that back, and looks whether all is as it has to be.
Each slot has addresses of its own, so what a call must answer is known but for one thing: whether there is a frame.

Unit: the operation, of one to seven calls. The same seed makes the same operations and leaves the same memory in every
place. Not part of the image that users boot: the mailbox starts it.
"""

from incroos.guest.soak.operations import begin, check, finish, run
from incroos.guest.soak.slots import Soak

__all__ = ['Soak', 'begin', 'check', 'finish', 'run']
