"""exec: the task that runs gets another program. What fails leaves all as it was.

    script    a file that begins with #!: its first line names an interpreter, with one argument perhaps, which gets the
              script's name behind them. An interpreter can be a script

Unit: the program. Format of the first line: execve(2), "Interpreter scripts".
"""

from typing import Final

from incroos.kernel import files, vm
from incroos.kernel.codes import (
    BAD_PROGRAM,
    NO_FRAME,
    NO_KERNEL_MEMORY,
    NO_PERMISSION,
    NO_ROOM,
    OK,
    TOO_MANY_LINKS,
)
from incroos.kernel.files import rights
from incroos.kernel.files.paths import FOLLOW, SLASH
from incroos.kernel.state import CONTENT_KIND, HAS_NEW_REGISTERS, Kernel, Node, Task, UserSpace, whereabouts_of
from incroos.kernel.task import alone, ending, family, program
from incroos.kernel.task.actions import SIGCHLD, forget_handlers
from incroos.kernel.task.ring import current
from incroos.kernel.task.texts import HEAD_BYTES, MOST_SCRIPTS, Texts, drop_first, make_room, push
from incroos.lang import VirtAddr, copy, fill, kernel, load8, store8, word

ANY_EXECUTE: Final = 0o111
HASH: Final = 35
MARK: Final = 33  # !
NEWLINE: Final = 10
TAB: Final = 9
BLANK: Final = 32


@kernel
def execute(k: Kernel, node: Node, texts: Texts) -> word:
    """Let the task that runs begin the program of a file: OK, and nothing of the old one is left.

    NO_PERMISSION, BAD_PROGRAM, TOO_MANY_LINKS, TOO_MUCH_TEXT, codes of walk and vm. PRE the texts are changed.
    """
    task = current(k)
    code, at = find_program(k, task, node, texts)
    if code != OK:
        return code
    user = UserSpace(k.m, task.space)
    found = Node(k.m, at)
    code, table, actions = alone.take_parts(k, task)
    if code != OK:
        return code
    code, space = program.load(k, found, texts, user.limit_address_space, user.limit_data, user.limit_stack)
    if (code == NO_FRAME or code == NO_ROOM or code == NO_KERNEL_MEMORY) and vm.give_up_pages(k) > 0:
        code, space = program.load(k, found, texts, user.limit_address_space, user.limit_data, user.limit_stack)
    if code != OK:
        alone.drop_parts(k, table, actions)
        return code
    task = alone.become_alone(k, task)
    alone.use_parts(k, task, table, actions)
    UserSpace(k.m, space).has_no_large = user.has_no_large
    leave_old(k, task)
    task.space = VirtAddr(0)
    program.take_over(k, task, found, UserSpace(k.m, space), texts)
    drop_old(k, user)
    name(task, texts)
    k.tasks.attention |= HAS_NEW_REGISTERS
    return OK


# ------------------------------------------------------------------ the file
@kernel
def may_execute(task: Task, node: Node) -> word:
    """OK; NO_PERMISSION if it is no file, or nobody may execute it, or the task may not."""
    if node.kind != CONTENT_KIND or node.mode & ANY_EXECUTE == 0:
        return NO_PERMISSION
    return OK if rights.has(task.credentials, node, rights.SEARCHING) else NO_PERMISSION


@kernel
def find_program(k: Kernel, task: Task, node: Node, texts: Texts) -> tuple[word, VirtAddr]:
    """The file that is loaded: the node, or the last interpreter. Each script changes the arguments."""
    here = node
    for depth in range(MOST_SCRIPTS + 1):
        code = may_execute(task, here)
        if code != OK or not is_script(k, here):
            return code, here.addr
        if depth == 0 and not make_room(k, texts):
            return NO_KERNEL_MEMORY, VirtAddr(0)
        if depth == 0:
            drop_first(texts)
            push(texts, texts.name, texts.name_bytes)
        if depth < MOST_SCRIPTS:
            code, at = enter_script(k, task, here, texts)
            if code != OK:
                return code, at
            here = Node(k.m, at)
    return TOO_MANY_LINKS, VirtAddr(0)


@kernel
def is_script(k: Kernel, node: Node) -> bool:
    """Does it begin with #!?"""
    if node.content.nbytes < 2:
        return False
    data, _nr_there = vm.bytes_at(k, node.content, 0)
    return load8(k.m, data) == HASH and load8(k.m, VirtAddr(data + 1)) == MARK


@kernel
def enter_script(k: Kernel, task: Task, node: Node, texts: Texts) -> tuple[word, VirtAddr]:
    """OK and the interpreter's node; its name and its argument are put in front. Codes of copy_line, of walk."""
    head = k.files.piece
    code, end = copy_line(k, node, head)
    if code != OK:
        return code, VirtAddr(0)
    start = skip_blanks(k, VirtAddr(head + 2), end)
    name_end = skip_name(k, start, end)
    argument = skip_blanks(k, name_end, end)
    if argument < end:
        push(texts, argument, end + 1 - argument)
    store8(k.m, name_end, 0)
    push(texts, start, name_end + 1 - start)
    nbytes = name_end - start
    copy(k.m, files.text_of(k), start, nbytes + 1)
    return files.walk(k, task, Node(k.m, whereabouts_of(task).folder), nbytes, FOLLOW)


@kernel
def copy_line(k: Kernel, node: Node, head: VirtAddr) -> tuple[word, VirtAddr]:
    """Copy a script's first line, and a zero byte in the place of what ends it: OK, and where that is.

    Without an end in the first HEAD_BYTES the line is cut there; BAD_PROGRAM if that would cut the interpreter's name,
    or there is none. NO_PERMISSION if none stands before a zero byte: as on Linux it is the working directory then.
    """
    fill(k.m, head, 0, HEAD_BYTES + 1)
    vm.read_content(k, node.content, head, 0, HEAD_BYTES)
    end = VirtAddr(head + 2)
    last = VirtAddr(head + HEAD_BYTES)
    while end < last and load8(k.m, end) != NEWLINE and load8(k.m, end) != 0:
        end = VirtAddr(end + 1)
    if end == last:
        start = skip_blanks(k, VirtAddr(head + 2), last)
        if skip_name(k, start, last) == last:
            return BAD_PROGRAM, VirtAddr(0)
    has_newline = load8(k.m, end) == NEWLINE
    while end > head + 2 and is_blank(load8(k.m, VirtAddr(end - 1))):
        end = VirtAddr(end - 1)
    store8(k.m, end, 0)
    if end == head + 2:
        return BAD_PROGRAM if has_newline else NO_PERMISSION, VirtAddr(0)
    return OK, end


@kernel
def is_blank(char: word) -> bool:
    """A blank or tab?"""
    return char == BLANK or char == TAB


@kernel
def skip_blanks(k: Kernel, at: VirtAddr, end: VirtAddr) -> VirtAddr:
    """The first byte that is none, or the end."""
    while at < end and is_blank(load8(k.m, at)):
        at = VirtAddr(at + 1)
    return at


@kernel
def skip_name(k: Kernel, at: VirtAddr, end: VirtAddr) -> VirtAddr:
    """The first blank, or the end."""
    while at < end and not is_blank(load8(k.m, at)):
        at = VirtAddr(at + 1)
    return at


# ------------------------------------------------------------------ what is left, and what not
@kernel
def leave_old(k: Kernel, task: Task) -> None:
    """What ends with the old program. Signals that are ignored stay so, and so do the mask and what is pending."""
    ending.clear_words(k, task)
    task.clear_on_exit = VirtAddr(0)
    task.robust = VirtAddr(0)
    files.close_on_exec(k, task)
    forget_handlers(k, task)
    task.exit_signal = SIGCHLD
    task.credentials.user.saved = task.credentials.user.effective
    task.credentials.group.saved = task.credentials.group.effective
    task.has_executed = 1


@kernel
def drop_old(k: Kernel, user: UserSpace) -> None:
    """The task has another space now; whoever was held goes on."""
    ending.drop_space(k, user)
    family.release(k, current(k))


@kernel
def name(task: Task, texts: Texts) -> None:
    """Call the task as the last part of the path is called by which its program was named."""
    end = VirtAddr(texts.name + texts.name_bytes - 1)
    start = end
    while start > texts.name and load8(task.m, VirtAddr(start - 1)) != SLASH:
        start = VirtAddr(start - 1)
    program.name_task(task, start, end - start)
