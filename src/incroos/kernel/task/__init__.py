"""Tasks: programs in ring 3, made, begun, ended by themselves or by a signal, and which of them runs.

start makes the first task, fork another one; program gives a task a space, with texts, elf and stack, exec another one;
ending ends it, and family lets its parent hear of that (news, wait). sending, signals, frames and interruption are
about signals, by the actions that a task has for them. waiting and schedule say who runs, ring who there is, contexts
keep the registers of those that do not run. report tells the host; clock and timers are what programs see of time.
"""

from .clock import after, look, now
from .ending import end, end_thread, end_unstarted
from .family import is_orphaned, send_to_group
from .report import new_record, put
from .ring import current
from .schedule import go_on, tick
from .sending import notice, notice_others, send_to_thread, send_with
from .signals import force, on_exception, on_fault
from .start import create_first, init
from .terminal import leave_terminal, session_of_group
from .waiting import block_for_call, end_wait, wait_on, wait_once, wake, wake_changed

__all__ = [
    'after',
    'block_for_call',
    'create_first',
    'current',
    'end',
    'end_thread',
    'end_unstarted',
    'end_wait',
    'force',
    'go_on',
    'init',
    'is_orphaned',
    'leave_terminal',
    'look',
    'new_record',
    'notice',
    'notice_others',
    'now',
    'on_exception',
    'on_fault',
    'put',
    'send_to_group',
    'send_to_thread',
    'send_with',
    'session_of_group',
    'tick',
    'wait_on',
    'wait_once',
    'wake',
    'wake_changed',
]
