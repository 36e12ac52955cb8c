"""Flags of open: what of Linux's there is, and what of it an open file keeps."""

from typing import Final

# Flags of open
ACCESS_MODE: Final = 3
WRITE_ONLY: Final = 1
READ_WRITE: Final = 2
CREATE: Final = 0o100
EXCLUSIVE: Final = 0o200
NOT_TERMINAL: Final = 0o400  # O_NOCTTY
TRUNCATE: Final = 0o1000
APPEND: Final = 0o2000
NONBLOCK: Final = 0o4000
FOLDER_ONLY: Final = 0o200000
NO_FOLLOW: Final = 0o400000
CLOSE_AT_EXEC: Final = 0o2000000
PATH_ONLY: Final = 0o10000000
UNNAMED: Final = 0o20200000  # O_TMPFILE

KEPT: Final = ~(CREATE | EXCLUSIVE | NOT_TERMINAL | TRUNCATE | CLOSE_AT_EXEC)
