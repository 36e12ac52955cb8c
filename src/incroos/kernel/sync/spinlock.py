"""A lock: one word in memory, 0 while it is free.

Unit: the word. Knows no threads and keeps no order among those that wait. A lock is held for a few hundred instructions
at most, so a waiter spins; after some rounds it asks the system to let other threads run, one of which holds the lock.
"""

from typing import Final

from incroos.lang import (
    Machine,
    VirtAddr,
    atomic_compare_exchange64,
    atomic_load64,
    atomic_store64,
    call4,
    kernel,
    pause,
    word,
)

FREE: Final = 0
HELD: Final = 1
ROUNDS: Final = 64  # of waiting, before others are let run


@kernel
def try_lock(m: Machine, lock: VirtAddr) -> bool:
    """Take the lock if it is free."""
    return atomic_compare_exchange64(m, lock, FREE, HELD) == FREE


@kernel
def acquire(m: Machine, lock: VirtAddr, give_way: word) -> None:
    """Take the lock; give_way is the address of a C function that lets other threads run."""
    rounds = 0
    while not try_lock(m, lock):
        while atomic_load64(m, lock) != FREE:
            rounds += 1
            if rounds % ROUNDS == 0:
                call4(m, give_way, 0, 0, 0, 0)
            else:
                pause(m)


@kernel
def release(m: Machine, lock: VirtAddr) -> None:
    """PRE the caller holds the lock."""
    atomic_store64(m, lock, FREE)
