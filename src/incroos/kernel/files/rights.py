"""Who may do what with a file: by its mode and owner, and by whom the task that calls acts for.

Root may do all. Others have the rights of the owner, else those of the group, else those of all, as POSIX has it, "File
Access Permissions"; in a folder with the sticky bit only owners remove.

Unit: the node.
"""

from typing import Final

from incroos.kernel.codes import NO_PERMISSION, NOT_ALLOWED, OK
from incroos.kernel.files.flags import ACCESS_MODE, TRUNCATE, WRITE_ONLY
from incroos.kernel.state import Credentials, Kernel, Node, Task
from incroos.lang import kernel, word

# The bits of a mode, for all others
READING: Final = 4
WRITING: Final = 2
SEARCHING: Final = 1  # or executing
OWNERS: Final = 6  # how far the owner's bits lie above
GROUPS: Final = 3
STICKY: Final = 0o1000


@kernel
def caller(k: Kernel) -> Credentials:
    """For whom the task that runs acts."""
    return Task(k.m, k.tasks.current).credentials


@kernel
def is_root(by: Credentials) -> bool:
    """May they do all?"""
    return by.user.effective == 0


@kernel
def is_in_group(by: Credentials, group: word) -> bool:
    """Are they of the group?"""
    for index in range(by.nr_groups):
        if by.groups[index] == group:
            return True
    return by.group.effective == group


@kernel
def has(by: Credentials, node: Node, wanted: word) -> bool:
    """Whether they have all rights that are wanted."""
    if is_root(by):
        return True
    bits = node.mode
    if node.user == by.user.effective:
        bits >>= OWNERS
    elif is_in_group(by, node.group):
        bits >>= GROUPS
    return bits & wanted == wanted


@kernel
def has_really(by: Credentials, node: Node, wanted: word) -> bool:
    """The same of the real user and group: what access asks."""
    if by.user.real == 0:
        return True
    bits = node.mode
    if node.user == by.user.real:
        bits >>= OWNERS
    elif node.group == by.group.real or is_in_group(by, node.group):
        bits >>= GROUPS
    return bits & wanted == wanted


@kernel
def owns(by: Credentials, node: Node) -> bool:
    """Whether they may change what is told of it."""
    return is_root(by) or by.user.effective == node.user


@kernel
def may_open(by: Credentials, node: Node, flags: word) -> word:
    """OK if they may open it so; NO_PERMISSION."""
    wanted = READING if flags & ACCESS_MODE != WRITE_ONLY else 0
    wanted |= WRITING if flags & ACCESS_MODE != 0 or flags & TRUNCATE != 0 else 0
    return OK if has(by, node, wanted) else NO_PERMISSION


@kernel
def may_change_folder(k: Kernel, folder: Node) -> word:
    """OK if the task that runs may make names in a folder; NO_PERMISSION."""
    return OK if has(caller(k), folder, WRITING | SEARCHING) else NO_PERMISSION


@kernel
def may_remove(k: Kernel, folder: Node, node: Node) -> word:
    """OK if the task that runs may take a name of a node out of a folder; NO_PERMISSION, NOT_ALLOWED."""
    by = caller(k)
    code = may_change_folder(k, folder)
    if code == OK and folder.mode & STICKY != 0 and not owns(by, folder) and not owns(by, node):
        return NOT_ALLOWED
    return code
