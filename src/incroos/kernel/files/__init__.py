"""Files: the archive that the kernel was handed, the descriptors of a task, and what stands behind them.

archive makes the nodes, paths finds them, opening makes open files of them, descriptors has a task's table of those.
reading, standard and folders do what is done with open files; process_files has the texts of /proc/self.
"""

from .descriptors import close, close_all, close_on_exec, duplicate, duplicate_to, file_at, share_all
from .folders import read_entries
from .nodes import check, root_of
from .opening import open_path, open_standard
from .paths import FOLLOW, STAY, put_path, text_of, walk
from .reading import await_input, has_input, is_input_asked, read, read_at, seek, would_wait
from .standard import write
from .start import deinit, init

__all__ = [
    'FOLLOW',
    'STAY',
    'await_input',
    'check',
    'close',
    'close_all',
    'close_on_exec',
    'deinit',
    'duplicate',
    'duplicate_to',
    'file_at',
    'has_input',
    'init',
    'is_input_asked',
    'open_path',
    'open_standard',
    'put_path',
    'read',
    'read_at',
    'read_entries',
    'root_of',
    'seek',
    'share_all',
    'text_of',
    'walk',
    'would_wait',
    'write',
]
