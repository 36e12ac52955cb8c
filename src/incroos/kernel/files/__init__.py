"""Files: the archive that the kernel was handed, the descriptors of a task, and what stands behind them.

archive makes the first nodes, which entries name; changes makes, moves and removes more, contents has their bytes,
paths finds them, opening makes open files of them, descriptors has a task's table of those.
reading, writing and folders do what is done with open files, pipes and events with those that several tasks share;
waits says how a call waits. process_rows says what there is in /proc, proc makes its texts.
"""

from .archive import forget_changes
from .changes import add_name, create, make_folder, make_link, may_add, remove_file, remove_folder, rename
from .check import check
from .descriptors import (
    close,
    close_on_exec,
    copy_table,
    drop_table,
    duplicate,
    duplicate_to,
    file_at,
    lowest_free,
    new_table,
    put,
)
from .entries import name_of
from .folders import read_entries
from .nodes import root_of
from .opening import open_path, open_standard, open_unnamed
from .paths import put_path, text_of, walk
from .pipe_opening import open_pipe
from .pipes import await_room
from .proc import text_of_link
from .process_folders import forget_task
from .reading import await_input, has_input, is_input_asked, read, read_at, seek, would_wait
from .ready import ready_events
from .start import deinit, init
from .terminal import close_terminal
from .unnamed import open_counter, open_interests
from .whereabouts import drop_whereabouts, new_whereabouts
from .writing import write, write_at

__all__ = [
    'add_name',
    'await_input',
    'await_room',
    'check',
    'close',
    'close_on_exec',
    'close_terminal',
    'copy_table',
    'create',
    'deinit',
    'drop_table',
    'drop_whereabouts',
    'duplicate',
    'duplicate_to',
    'file_at',
    'forget_changes',
    'forget_task',
    'has_input',
    'init',
    'is_input_asked',
    'lowest_free',
    'make_folder',
    'make_link',
    'may_add',
    'name_of',
    'new_table',
    'new_whereabouts',
    'open_counter',
    'open_interests',
    'open_path',
    'open_pipe',
    'open_standard',
    'open_unnamed',
    'put',
    'put_path',
    'read',
    'read_at',
    'read_entries',
    'ready_events',
    'remove_file',
    'remove_folder',
    'rename',
    'root_of',
    'seek',
    'text_of',
    'text_of_link',
    'walk',
    'would_wait',
    'write',
    'write_at',
]
