"""Pipes and counters: what several tasks have open, and wait on."""

from incroos.lang import Struct, VirtAddr, u64


class Pipe(Struct):
    """A ring of bytes between those that write and those that read. Owner: files.pipes."""

    data: VirtAddr  # room bytes, a power of two; 0: nobody has the pipe open
    room: u64
    start: u64  # of the first byte that nobody has read, in the ring
    nbytes: u64
    nr_readers: u64  # open files
    nr_writers: u64
    nr_opened_to_write: u64  # how often it ever was
    node: VirtAddr  # the FIFO's; 0: of pipe()
    inode: u64
    nr_arrivals: u64  # how often something has come to be read, or nobody was left to write it
    nr_departures: u64  # the same of room to write, and those who read


class EventCounter(Struct):
    """What eventfd counts. Owner: files.events."""

    count: u64  # without a sign
    takes_one: u64  # EFD_SEMAPHORE
    nr_arrivals: u64  # how often something was added
    nr_departures: u64  # how often something was taken
