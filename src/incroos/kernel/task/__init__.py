"""Tasks: programs in ring 3, made, begun, ended by themselves or by a signal.

start makes the first task; program gives it a space, with elf and stack; ending tears it down; signals says which
signal does what; clock and random are what programs see of time and chance.
"""

from .clock import look, sleep
from .ending import current, end, end_by_call, end_unstarted, new_record, put
from .random import next_word
from .signals import deliver_pending, end_by_signal, on_fault, send, wait_for_ever
from .start import create_first, init

__all__ = [
    'create_first',
    'current',
    'deliver_pending',
    'end',
    'end_by_call',
    'end_by_signal',
    'end_unstarted',
    'init',
    'look',
    'new_record',
    'next_word',
    'on_fault',
    'put',
    'send',
    'sleep',
    'wait_for_ever',
]
