"""The texts of /proc, made when they are read.

contents says which function makes which text, and takes what is written. maps, smaps (with tally), pagemap and status
tell of tasks, machine of all, settings is /proc/sys. names has what readlink says.
"""

from .contents import read, read_at, write
from .names import text_of_link

__all__ = ['read', 'read_at', 'text_of_link', 'write']
