"""The texts of /proc that tell of the machine: memory, time, processors, file systems.

Unit: the kilobyte in meminfo, the second in uptime, the tick of 10 ms in stat. Format: proc(5).
"""

from typing import Final

from incroos.kernel import pmm, vm
from incroos.kernel.devices import program_clock
from incroos.kernel.files import process_rows as rows
from incroos.kernel.files import text
from incroos.kernel.files.proc import settings
from incroos.kernel.files.text import put_kilobytes
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import READY, Content, Kernel, Task, UserSpace
from incroos.lang import Machine, PhysAddr, VirtAddr, kernel, load64, word

RELEASE: Final = b'6.1.0'
BUILD: Final = b'#1'
HOST: Final = b'incroos'
KILOBYTES: Final = PAGE_BYTES >> 10
TICK: Final = program_clock.SECOND // 100
VMALLOC_KILOBYTES: Final = (1 << 35) - 1
HUGE_KILOBYTES: Final = 2048
FLAGS: Final = (
    b'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx'
    b' pdpe1gb rdtscp lm rep_good nopl cpuid pni pclmulqdq ssse3 cx16 sse4_1 sse4_2 movbe popcnt aes xsave rdrand'
    b' hypervisor lahf_lm abm fsgsbase bmi1 smep bmi2 erms\n'
)


# ------------------------------------------------------------------ memory
@kernel
def count_mapped(k: Kernel) -> tuple[word, word]:
    """How many frames that belong to spaces alone are mapped, and how many of contents."""
    nr_anonymous = 0
    nr_of_contents = 0
    for index in range(k.vm.nr_frames):
        found = load64(k.m, VirtAddr(k.vm.reverse_map + 8 * index))
        if found > 0:
            nr_anonymous += 1
        elif found < 0 and pmm.nr_mappings(k, PhysAddr(index << PAGE_SHIFT)) > 0:
            nr_of_contents += 1
    return nr_anonymous, nr_of_contents


@kernel
def count_spaces(k: Kernel) -> tuple[word, word]:
    """Page tables of all spaces, and pages for which they may ask for memory."""
    nr_tables = k.space.nr_tables
    nr_data = 0
    for family in range(1, k.vm.end_family):
        first = VirtAddr(load64(k.m, VirtAddr(k.vm.families + 8 * family)))
        at = first
        while at != 0:
            user = UserSpace(k.m, at)
            nr_tables += user.space.nr_tables
            nr_data += user.nr_data_pages
            at = user.next_in_family if user.next_in_family != first else VirtAddr(0)
    return nr_tables, nr_data


@kernel
def count_contents(k: Kernel) -> tuple[word, word]:
    """Frames of all contents, and of shared memory alone."""
    nr_frames = 0
    nr_shared = 0
    at = k.vm.contents
    while at != 0:
        content = Content(k.m, at)
        nr_frames += content.nr_frames
        nr_shared += content.nr_frames if content.is_anonymous != 0 else 0
        at = content.next
    return nr_frames, nr_shared


@kernel
def put_memory(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of meminfo: the address behind it. What is nobody else's is the kernel's own: SUnreclaim."""
    m = k.m
    nr_anonymous, nr_mapped = count_mapped(k)
    nr_tables, nr_data = count_spaces(k)
    total = KILOBYTES * pmm.nr_total_frames(k)
    left = KILOBYTES * pmm.nr_free_frames(k)
    nr_cached, nr_shared = count_contents(k)
    shared = KILOBYTES * nr_shared
    cached = KILOBYTES * nr_cached
    anonymous = KILOBYTES * nr_anonymous
    own = max(total - left - cached - anonymous - KILOBYTES * nr_tables, 0)
    at = put_kilobytes(m, at, b'MemTotal:', total)
    at = put_kilobytes(m, at, b'MemFree:', left)
    at = put_kilobytes(m, at, b'MemAvailable:', left)
    at = put_kilobytes(m, at, b'Buffers:', 0)
    at = put_kilobytes(m, at, b'Cached:', cached)
    at = put_kilobytes(m, at, b'SwapCached:', 0)
    at = put_lists(m, at, anonymous + shared, cached - shared)
    at = put_none(m, at)
    at = put_kilobytes(m, at, b'AnonPages:', anonymous)
    at = put_kilobytes(m, at, b'Mapped:', KILOBYTES * nr_mapped)
    at = put_kilobytes(m, at, b'Shmem:', shared)
    at = put_kilobytes(m, at, b'KReclaimable:', 0)
    at = put_kilobytes(m, at, b'Slab:', own)
    at = put_kilobytes(m, at, b'SReclaimable:', 0)
    at = put_kilobytes(m, at, b'SUnreclaim:', own)
    at = put_kilobytes(m, at, b'KernelStack:', 0)
    at = put_kilobytes(m, at, b'PageTables:', KILOBYTES * nr_tables)
    at = text.put_text(
        m, at, b'SecPageTables:         0 kB\nNFS_Unstable:          0 kB\nBounce:                0 kB\n'
    )
    at = put_kilobytes(m, at, b'WritebackTmp:', 0)
    at = put_kilobytes(m, at, b'CommitLimit:', total * settings.value_of(k, rows.OVERCOMMIT_RATIO) // 100)
    at = put_kilobytes(m, at, b'Committed_AS:', KILOBYTES * nr_data + shared)
    at = put_kilobytes(m, at, b'VmallocTotal:', VMALLOC_KILOBYTES)
    at = put_kilobytes(m, at, b'VmallocUsed:', KILOBYTES * k.vmalloc.nr_pages)
    return put_huge(m, at, vm.nr_large(k))


@kernel
def put_lists(m: Machine, at: VirtAddr, anonymous: word, files: word) -> VirtAddr:
    """Put the lines about lists of pages: there is no swap, so that all are in use."""
    at = put_kilobytes(m, at, b'Active:', anonymous + files)
    at = put_kilobytes(m, at, b'Inactive:', 0)
    at = put_kilobytes(m, at, b'Active(anon):', anonymous)
    at = put_kilobytes(m, at, b'Inactive(anon):', 0)
    at = put_kilobytes(m, at, b'Active(file):', files)
    return put_kilobytes(m, at, b'Inactive(file):', 0)


@kernel
def put_none(m: Machine, at: VirtAddr) -> VirtAddr:
    """Put the lines about what is not there."""
    at = put_kilobytes(m, at, b'Unevictable:', 0)
    at = put_kilobytes(m, at, b'Mlocked:', 0)
    at = put_kilobytes(m, at, b'SwapTotal:', 0)
    at = put_kilobytes(m, at, b'SwapFree:', 0)
    at = put_kilobytes(m, at, b'Dirty:', 0)
    return put_kilobytes(m, at, b'Writeback:', 0)


@kernel
def put_huge(m: Machine, at: VirtAddr, nr_large: word) -> VirtAddr:
    """Put the last lines of meminfo: there are no huge pages of files."""
    at = put_kilobytes(m, at, b'VmallocChunk:', 0)
    at = put_kilobytes(m, at, b'Percpu:', 0)
    at = put_kilobytes(m, at, b'AnonHugePages:', HUGE_KILOBYTES * nr_large)
    at = put_kilobytes(m, at, b'ShmemHugePages:', 0)
    at = put_kilobytes(m, at, b'ShmemPmdMapped:', 0)
    at = put_kilobytes(m, at, b'FileHugePages:', 0)
    at = put_kilobytes(m, at, b'FilePmdMapped:', 0)
    at = text.put_text(m, at, b'HugePages_Total:       0\nHugePages_Free:        0\n')
    at = text.put_text(m, at, b'HugePages_Rsvd:        0\nHugePages_Surp:        0\n')
    at = put_kilobytes(m, at, b'Hugepagesize:', HUGE_KILOBYTES)
    return put_kilobytes(m, at, b'Hugetlb:', 0)


# ------------------------------------------------------------------ time
@kernel
def put_hundredths(k: Kernel, at: VirtAddr, nanoseconds: word) -> VirtAddr:
    """Put seconds with two digits behind the point."""
    at = text.put_char(k.m, text.put_decimal(k.m, at, nanoseconds // program_clock.SECOND), 46)
    hundredths = nanoseconds // TICK % 100
    return text.put_decimal(k.m, text.put_decimal(k.m, at, hundredths // 10), hundredths % 10)


@kernel
def put_uptime(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of uptime: the address behind it."""
    at = text.put_char(k.m, put_hundredths(k, at, program_clock.since_start(k)), text.BLANK)
    return text.put_text(k.m, put_hundredths(k, at, idle_time(k)), b'\n')


@kernel
def idle_time(k: Kernel) -> word:
    """Nanoseconds in which none of the tasks that there are ran."""
    busy = 0
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        busy += Task(k.m, at).user_time + Task(k.m, at).children_time
        at = Task(k.m, at).next
    return max(program_clock.since_start(k) - busy, 0)


@kernel
def nr_ready(k: Kernel) -> word:
    """How many tasks run or can."""
    found = 0
    at = k.tasks.ring
    for _index in range(k.tasks.nr_tasks):
        found += 1 if Task(k.m, at).state == READY else 0
        at = Task(k.m, at).next
    return found


@kernel
def put_stat(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of stat: the address behind it."""
    idle = idle_time(k) // TICK
    busy = max(program_clock.since_start(k) // TICK - idle, 0)
    at = put_times(k, text.put_text(k.m, at, b'cpu  '), busy, idle)
    at = put_times(k, text.put_text(k.m, at, b'cpu0 '), busy, idle)
    at = text.put_decimal(k.m, text.put_text(k.m, at, b'intr 0\nctxt 0\nbtime '), k.tasks.start_seconds)
    at = text.put_decimal(k.m, text.put_text(k.m, at, b'\nprocesses '), k.tasks.next_number - 2)
    at = text.put_decimal(k.m, text.put_text(k.m, at, b'\nprocs_running '), nr_ready(k))
    return text.put_text(k.m, at, b'\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n')


@kernel
def put_times(k: Kernel, at: VirtAddr, busy: word, idle: word) -> VirtAddr:
    """Put the ticks of a processor."""
    at = text.put_text(k.m, text.put_decimal(k.m, at, busy), b' 0 0 ')
    return text.put_text(k.m, text.put_decimal(k.m, at, idle), b' 0 0 0 0 0 0\n')


@kernel
def put_load(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of loadavg: the address behind it."""
    at = text.put_decimal(k.m, text.put_text(k.m, at, b'0.00 0.00 0.00 '), nr_ready(k))
    at = text.put_decimal(k.m, text.put_char(k.m, at, 47), k.tasks.nr_tasks)
    at = text.put_decimal(k.m, text.put_char(k.m, at, text.BLANK), k.tasks.next_number - 1)
    return text.put_char(k.m, at, text.NEWLINE)


# ------------------------------------------------------------------ what there is
@kernel
def put_version(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of version: the address behind it."""
    at = text.put_text(k.m, text.put_text(k.m, at, b'Linux version '), RELEASE)
    at = text.put_text(k.m, text.put_text(k.m, at, b' (incroos) '), BUILD)
    return text.put_char(k.m, at, text.NEWLINE)


@kernel
def put_processors(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of cpuinfo, what CPUID says in ring 3: the address behind it."""
    at = text.put_text(k.m, at, b'processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 60\n')
    at = text.put_text(k.m, at, b'model name\t: Intel Core Processor (Haswell)\nstepping\t: 4\ncpu MHz\t\t: ')
    rate = k.tasks.counter_rate
    at = text.put_char(k.m, text.put_decimal(k.m, at, rate // 1000), 46)
    at = text.put_decimal(k.m, at, rate // 100 % 10)
    at = text.put_decimal(k.m, at, rate // 10 % 10)
    at = text.put_decimal(k.m, at, rate % 10)
    at = text.put_text(k.m, at, b'\ncache size\t: 16384 KB\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\n')
    at = text.put_text(
        k.m, at, b'cpu cores\t: 1\napicid\t\t: 0\ninitial apicid\t: 0\nfpu\t\t: yes\nfpu_exception\t: yes\n'
    )
    at = text.put_text(k.m, text.put_text(k.m, at, b'cpuid level\t: 13\nwp\t\t: yes\nflags\t\t: '), FLAGS)
    at = text.put_text(k.m, at, b'bugs\t\t:\nclflush size\t: 64\ncache_alignment\t: 64\n')
    return text.put_text(k.m, at, b'address sizes\t: 40 bits physical, 48 bits virtual\npower management:\n\n')


@kernel
def put_mounts(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of mounts: the address behind it."""
    at = text.put_text(k.m, at, b'none / tmpfs rw,relatime 0 0\n')
    return text.put_text(k.m, at, b'proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n')


@kernel
def put_mount_info(k: Kernel, at: VirtAddr) -> VirtAddr:
    """Put the text of mountinfo: the address behind it."""
    at = text.put_text(k.m, at, b'1 0 0:1 / / rw,relatime - tmpfs none rw\n')
    return text.put_text(k.m, at, b'2 1 0:3 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n')
