"""/proc/N/status, stat and statm: what is told of a task, its space and its signals.

Unit: the kilobyte in status, the page in statm, the byte and the tick of 10 ms in stat. Format: proc(5).
"""

from typing import Final

from incroos.kernel.devices import program_clock
from incroos.kernel.files import text
from incroos.kernel.files.proc import sizes
from incroos.kernel.files.proc.sizes import Sizes
from incroos.kernel.files.proc.tally import Tally
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import (
    BY_SIGNAL,
    ENDED,
    HELD,
    INIT_NUMBER,
    MAX_QUEUED,
    NAME_BYTES,
    NR_SIGNALS,
    READY,
    ActionTable,
    Credentials,
    Ids,
    Kernel,
    Task,
    UserSpace,
    leader_of,
    table_of,
    whereabouts_of,
)
from incroos.lang import VirtAddr, kernel, load8, shl_wrap, word

KILOBYTES: Final = PAGE_BYTES >> 10
TICK: Final = program_clock.SECOND // 100
USUAL_PRIORITY: Final = 20
IGNORED: Final = 1  # SIG_IGN
ALL_CAPABILITIES: Final = (1 << 41) - 1
LEAST_DESCRIPTORS: Final = 64
TAB: Final = 9
LOW_SET: Final = 0x7FFF_FFFF  # of a set of signals: the standard ones
NO_LIMIT_TEXT: Final = b'18446744073709551615 '


# ------------------------------------------------------------------ parts
@kernel
def put_name(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put what the task is called."""
    for index in range(NAME_BYTES):
        char = load8(k.m, VirtAddr(task.name.addr + index))
        if char == 0:
            return at
        at = text.put_char(k.m, at, char)
    return at


@kernel
def state_of(task: Task) -> word:
    """The letter of a task's state."""
    if task.state >= ENDED:
        return 90  # Z
    if task.is_stopped != 0:
        return 84  # T
    if task.state == READY:
        return 82  # R
    return 68 if task.state == HELD else 83  # D, S


@kernel
def put_state(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put a task's state as status has it."""
    letter = state_of(task)
    at = text.put_char(k.m, at, letter)
    match letter:
        case 90:
            return text.put_text(k.m, at, b' (zombie)')
        case 84:
            return text.put_text(k.m, at, b' (stopped)')
        case 82:
            return text.put_text(k.m, at, b' (running)')
        case 68:
            return text.put_text(k.m, at, b' (disk sleep)')
        case _:
            return text.put_text(k.m, at, b' (sleeping)')


@kernel
def parent_of(k: Kernel, task: Task) -> word:
    """The number of a task's parent."""
    parent = leader_of(task).parent
    return Task(k.m, parent).number if parent != 0 else INIT_NUMBER


@kernel
def actions_of(task: Task) -> tuple[word, word]:
    """The signals that a task ignores, and those for which it has handlers."""
    ignored = 0
    caught = 0
    table = ActionTable(task.m, task.actions)
    for index in range(NR_SIGNALS if task.actions != 0 else 0):
        bit = shl_wrap(1, index)
        if table.with_action & bit != 0:
            ignored |= bit if table.actions[index].handler == IGNORED else 0
            caught |= bit if table.actions[index].handler & ~IGNORED != 0 else 0
    return ignored, caught


@kernel
def put_number(k: Kernel, at: VirtAddr, name: bytes, value: word) -> VirtAddr:
    """Put a line of status with a number."""
    return text.put_char(k.m, text.put_decimal(k.m, text.put_text(k.m, at, name), value), text.NEWLINE)


@kernel
def put_size(k: Kernel, at: VirtAddr, name: bytes, value: word) -> VirtAddr:
    """Put a line of status with kilobytes."""
    at = text.put_right(k.m, text.put_text(k.m, at, name), value, text.FIELD_WIDTH)
    return text.put_text(k.m, at, b' kB\n')


@kernel
def put_set(k: Kernel, at: VirtAddr, name: bytes, bits: word) -> VirtAddr:
    """Put a line of status with a set of 64 bits."""
    return text.put_char(k.m, text.put_bits(k.m, text.put_text(k.m, at, name), bits), text.NEWLINE)


@kernel
def put_ids(k: Kernel, at: VirtAddr, name: bytes, ids: Ids) -> VirtAddr:
    """Put a line of status with real, effective and saved number, and that for files, which is the effective one."""
    at = text.put_decimal(k.m, text.put_text(k.m, at, name), ids.real)
    at = text.put_decimal(k.m, text.put_char(k.m, at, TAB), ids.effective)
    at = text.put_decimal(k.m, text.put_char(k.m, at, TAB), ids.saved)
    at = text.put_decimal(k.m, text.put_char(k.m, at, TAB), ids.effective)
    return text.put_char(k.m, at, text.NEWLINE)


@kernel
def put_groups(k: Kernel, at: VirtAddr, by: Credentials) -> VirtAddr:
    """Put the line of status with further groups."""
    at = text.put_text(k.m, at, b'Groups:\t')
    for index in range(by.nr_groups):
        at = text.put_char(k.m, text.put_decimal(k.m, at, by.groups[index]), text.BLANK)
    return text.put_text(k.m, at, b' \n' if by.nr_groups == 0 else b'\n')


# ------------------------------------------------------------------ status
@kernel
def put_status(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the text of status: the address behind it."""
    at = put_name(k, task, text.put_text(k.m, at, b'Name:\t'))
    if task.whereabouts != 0:
        at = text.put_octal(k.m, text.put_text(k.m, at, b'\nUmask:\t'), whereabouts_of(task).umask, 4)
    at = put_state(k, task, text.put_text(k.m, at, b'\nState:\t'))
    at = put_number(k, at, b'\nTgid:\t', leader_of(task).number)
    at = put_number(k, at, b'Ngid:\t', 0)
    at = put_number(k, at, b'Pid:\t', task.number)
    at = put_number(k, at, b'PPid:\t', parent_of(k, task))
    at = put_number(k, at, b'TracerPid:\t', 0)
    at = put_ids(k, at, b'Uid:\t', task.credentials.user)
    at = put_ids(k, at, b'Gid:\t', task.credentials.group)
    nr_places = LEAST_DESCRIPTORS
    while task.table != 0 and nr_places < table_of(task).end_descriptors:
        nr_places *= 2
    at = put_number(k, at, b'FDSize:\t', nr_places)
    at = put_groups(k, at, task.credentials)
    at = put_number(k, at, b'NStgid:\t', leader_of(task).number)
    at = put_number(k, at, b'NSpid:\t', task.number)
    at = put_number(k, at, b'NSpgid:\t', task.group)
    at = put_number(k, at, b'NSsid:\t', task.session)
    if task.space != 0:
        at = put_memory(k, task, UserSpace(k.m, task.space), at)
    at = put_signals(k, task, at)
    return put_rest(k, task, at)


@kernel
def put_memory(k: Kernel, task: Task, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put the lines about memory."""
    counted = Tally(k.m, k.files.piece)
    found = Sizes(k.m, VirtAddr(k.files.piece + Tally.SIZE))
    sizes.find(k, task, user, found, counted)
    at = put_size(k, at, b'VmPeak:\t', KILOBYTES * max(user.most_pages, user.nr_pages))
    at = put_size(k, at, b'VmSize:\t', KILOBYTES * user.nr_pages)
    at = put_size(k, at, b'VmLck:\t', KILOBYTES * user.nr_locked_pages)
    at = put_size(k, at, b'VmPin:\t', 0)
    at = put_size(k, at, b'VmHWM:\t', KILOBYTES * max(user.most_resident, counted.nr_resident))
    at = put_size(k, at, b'VmRSS:\t', KILOBYTES * counted.nr_resident)
    at = put_size(k, at, b'RssAnon:\t', KILOBYTES * counted.nr_anonymous)
    at = put_size(k, at, b'RssFile:\t', KILOBYTES * counted.nr_of_files)
    at = put_size(k, at, b'RssShmem:\t', KILOBYTES * counted.nr_of_memory)
    at = put_size(k, at, b'VmData:\t', KILOBYTES * user.nr_data_pages)
    at = put_size(k, at, b'VmStk:\t', KILOBYTES * found.nr_stack)
    code = found.code_end - found.code_start >> 10
    at = put_size(k, at, b'VmExe:\t', code)
    at = put_size(k, at, b'VmLib:\t', max(KILOBYTES * found.nr_executable - code, 0))
    at = put_size(k, at, b'VmPTE:\t', KILOBYTES * user.space.nr_tables)
    at = put_size(k, at, b'VmSwap:\t', 0)
    at = put_size(k, at, b'HugetlbPages:\t', 0)
    at = text.put_text(k.m, at, b'CoreDumping:\t0\n')
    return text.put_text(k.m, at, b'THP_enabled:\t1\n' if user.has_no_large == 0 else b'THP_enabled:\t0\n')


@kernel
def put_signals(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the lines about threads and signals."""
    at = put_number(k, at, b'Threads:\t', max(leader_of(task).nr_threads, 1))
    at = text.put_decimal(k.m, text.put_text(k.m, at, b'SigQ:\t'), k.tasks.nr_queued)
    at = put_number(k, at, b'/', MAX_QUEUED)
    ignored, caught = actions_of(task)
    at = put_set(k, at, b'SigPnd:\t', task.pending.signals)
    at = put_set(k, at, b'ShdPnd:\t', leader_of(task).shared.signals)
    at = put_set(k, at, b'SigBlk:\t', task.blocked)
    at = put_set(k, at, b'SigIgn:\t', ignored)
    return put_set(k, at, b'SigCgt:\t', caught)


@kernel
def put_rest(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the lines about rights and processors: root has all capabilities, and nobody else one."""
    user = task.credentials.user
    is_root = user.real == 0 or user.effective == 0 or user.saved == 0
    at = put_set(k, at, b'CapInh:\t', 0)
    at = put_set(k, at, b'CapPrm:\t', ALL_CAPABILITIES if is_root else 0)
    at = put_set(k, at, b'CapEff:\t', ALL_CAPABILITIES if user.effective == 0 else 0)
    at = put_set(k, at, b'CapBnd:\t', ALL_CAPABILITIES)
    at = put_set(k, at, b'CapAmb:\t', 0)
    at = text.put_text(k.m, at, b'NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n')
    at = text.put_text(k.m, at, b'Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n')
    return text.put_text(k.m, at, b'voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n')


# ------------------------------------------------------------------ statm
@kernel
def put_statm(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the text of statm: the address behind it."""
    if task.space == 0:
        return text.put_text(k.m, at, b'0 0 0 0 0 0 0\n')
    user = UserSpace(k.m, task.space)
    counted = Tally(k.m, k.files.piece)
    found = Sizes(k.m, VirtAddr(k.files.piece + Tally.SIZE))
    sizes.find(k, task, user, found, counted)
    at = put_word(k, at, user.nr_pages)
    at = put_word(k, at, counted.nr_resident)
    at = put_word(k, at, counted.nr_of_files + counted.nr_of_memory)
    at = put_word(k, at, found.code_end - found.code_start >> PAGE_SHIFT)
    at = put_word(k, at, 0)
    at = put_word(k, at, user.nr_data_pages + found.nr_stack)
    return text.put_text(k.m, at, b'0\n')


@kernel
def put_word(k: Kernel, at: VirtAddr, value: word) -> VirtAddr:
    """Put a number, and a blank behind it."""
    return text.put_char(k.m, text.put_signed(k.m, at, value), text.BLANK)


@kernel
def put_words(k: Kernel, at: VirtAddr, value: word, nr_words: word) -> VirtAddr:
    """Put a number several times."""
    for _index in range(nr_words):
        at = put_word(k, at, value)
    return at


# ------------------------------------------------------------------ stat
@kernel
def put_stat(k: Kernel, task: Task, at: VirtAddr) -> VirtAddr:
    """Put the text of stat, 52 fields: the address behind it."""
    at = text.put_text(k.m, put_word(k, at, task.number), b'(')
    at = text.put_text(k.m, put_name(k, task, at), b') ')
    at = text.put_char(k.m, text.put_char(k.m, at, state_of(task)), text.BLANK)
    at = put_word(k, at, parent_of(k, task))
    at = put_word(k, at, task.group)
    at = put_word(k, at, task.session)
    at = put_word(k, put_word(k, at, 0), -1)  # tty_nr, tpgid
    at = put_word(k, at, 0)  # flags
    user = UserSpace(k.m, task.space)
    at = put_word(k, at, user.nr_faults if task.space != 0 else 0)
    at = put_words(k, at, 0, 3)  # faults of children, and major ones
    at = put_word(k, put_word(k, at, task.user_time // TICK), 0)
    at = put_word(k, put_word(k, at, task.children_time // TICK), 0)
    at = put_word(k, at, USUAL_PRIORITY + task.nice)
    at = put_word(k, at, task.nice)
    at = put_word(k, put_word(k, at, max(leader_of(task).nr_threads, 1)), 0)
    at = put_word(k, at, task.started // TICK)
    at = put_space(k, task, user, at) if task.space != 0 else put_no_space(k, at)
    ignored, caught = actions_of(task)
    at = put_word(k, at, task.pending.signals & LOW_SET)
    at = put_word(k, at, task.blocked & LOW_SET)
    at = put_word(k, at, ignored & LOW_SET)
    at = put_word(k, at, caught & LOW_SET)
    at = put_words(k, at, 0, 3)  # where it waits, and swapped pages
    at = put_word(k, at, task.exit_signal)
    at = put_words(k, at, 0, 6)  # processor, policy, delays
    at = put_places(k, task, user, at) if task.space != 0 else put_words(k, at, 0, 7)
    status = task.status if task.how_ended == BY_SIGNAL else task.status << 8
    return text.put_char(k.m, text.put_decimal(k.m, at, status if task.state == ENDED else 0), text.NEWLINE)


@kernel
def put_space(k: Kernel, task: Task, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put the fields from vsize to kstkeip."""
    counted = Tally(k.m, k.files.piece)
    found = Sizes(k.m, VirtAddr(k.files.piece + Tally.SIZE))
    sizes.find(k, task, user, found, counted)
    at = put_word(k, at, user.nr_pages << PAGE_SHIFT)
    at = put_word(k, at, counted.nr_resident)
    at = text.put_text(k.m, at, NO_LIMIT_TEXT)
    at = put_word(k, at, found.code_start)
    at = put_word(k, at, found.code_end)
    at = put_word(k, at, task.stack_start)
    return put_words(k, at, 0, 2)


@kernel
def put_no_space(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the same fields of a task that has no memory any more."""
    return put_words(k, text.put_text(k.m, put_words(k, at, 0, 2), NO_LIMIT_TEXT), 0, 5)


@kernel
def put_places(k: Kernel, task: Task, user: UserSpace, at: VirtAddr) -> VirtAddr:
    """Put the fields from start_data to env_end."""
    found = Sizes(k.m, VirtAddr(k.files.piece + Tally.SIZE))
    at = put_word(k, at, found.data_start)
    at = put_word(k, at, found.data_end)
    at = put_word(k, at, user.brk_start)
    end = task.arguments + task.arguments_bytes
    at = put_word(k, put_word(k, at, task.arguments), end)
    return put_word(k, put_word(k, at, end), end + task.environment_bytes)
