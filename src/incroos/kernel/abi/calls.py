"""The table of calls: Linux's numbers for x86-64, and the functions behind them. What is not here is -ENOSYS.

A function has the Kernel and as many of the call's arguments as it looks at.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from incroos.kernel.abi import (
    advice_calls,
    change_calls,
    child_calls,
    content_calls,
    descriptor_calls,
    exec_calls,
    file_calls,
    futex_calls,
    group_calls,
    interest_calls,
    kill_calls,
    limit_calls,
    lock_calls,
    memory_calls,
    path_calls,
    process_calls,
    select_calls,
    signal_calls,
    socket_calls,
    system_calls,
    time_calls,
    timer_calls,
    unknown,
    user_calls,
    wait_calls,
)

Function = Callable[..., Any]

CALLS: Final[Mapping[int, Function]] = {
    # open files
    0: file_calls.read,
    1: file_calls.write,
    3: descriptor_calls.close,
    8: file_calls.lseek,
    16: file_calls.ioctl,
    17: file_calls.pread64,
    18: file_calls.pwrite64,
    19: file_calls.readv,
    20: file_calls.writev,
    32: descriptor_calls.dup,
    33: descriptor_calls.dup2,
    40: file_calls.sendfile,
    275: file_calls.splice,
    326: file_calls.splice,  # copy_file_range
    276: file_calls.tee,
    22: descriptor_calls.pipe,
    293: descriptor_calls.pipe2,
    284: descriptor_calls.eventfd,
    290: descriptor_calls.eventfd2,
    72: descriptor_calls.fcntl,
    73: file_calls.advise,  # flock
    74: file_calls.fsync,
    75: file_calls.fsync,  # fdatasync
    77: content_calls.ftruncate,
    187: file_calls.advise,  # readahead
    221: file_calls.advise,  # fadvise64
    285: content_calls.fallocate,
    319: content_calls.memfd_create,
    436: descriptor_calls.close_range,
    292: descriptor_calls.dup3,
    # paths
    2: path_calls.open_file,
    4: path_calls.stat,
    5: path_calls.fstat,
    6: path_calls.lstat,
    21: path_calls.access,
    76: content_calls.truncate,
    79: path_calls.getcwd,
    80: path_calls.chdir,
    81: path_calls.fchdir,
    82: change_calls.rename,
    83: change_calls.mkdir,
    84: change_calls.rmdir,
    85: path_calls.creat,
    86: change_calls.link,
    87: change_calls.unlink,
    88: change_calls.symlink,
    89: path_calls.readlink,
    90: change_calls.chmod,
    91: change_calls.fchmod,
    92: change_calls.chown,
    93: change_calls.fchown,
    94: change_calls.lchown,
    132: change_calls.utime,
    133: change_calls.mknod,
    137: path_calls.statfs,
    138: path_calls.fstatfs,
    191: path_calls.no_attribute,  # getxattr
    192: path_calls.no_attribute,  # lgetxattr
    193: path_calls.no_attribute_of_file,  # fgetxattr
    194: path_calls.no_attributes,  # listxattr
    195: path_calls.no_attributes,  # llistxattr
    196: path_calls.no_attributes_of_file,  # flistxattr
    217: path_calls.getdents64,
    235: change_calls.utimes,
    257: path_calls.openat,
    258: change_calls.mkdirat,
    259: change_calls.mknodat,
    260: change_calls.fchownat,
    261: change_calls.futimesat,
    262: path_calls.newfstatat,
    263: change_calls.unlinkat,
    264: change_calls.renameat,
    265: change_calls.linkat,
    266: change_calls.symlinkat,
    267: path_calls.readlinkat,
    268: change_calls.fchmodat,
    269: path_calls.faccessat,
    280: change_calls.utimensat,
    316: change_calls.renameat2,
    332: path_calls.statx,
    439: path_calls.faccessat2,
    # memory
    9: memory_calls.mmap,
    10: memory_calls.mprotect,
    11: memory_calls.munmap,
    12: memory_calls.brk,
    25: memory_calls.mremap,
    26: advice_calls.msync,
    27: advice_calls.mincore,
    28: advice_calls.madvise,
    149: lock_calls.mlock,
    150: lock_calls.munlock,
    151: lock_calls.mlockall,
    152: lock_calls.munlockall,
    325: lock_calls.mlock2,
    # signals
    13: signal_calls.rt_sigaction,
    14: signal_calls.rt_sigprocmask,
    15: signal_calls.rt_sigreturn,
    34: signal_calls.pause,
    62: kill_calls.kill,
    127: signal_calls.rt_sigpending,
    128: signal_calls.rt_sigtimedwait,
    129: kill_calls.rt_sigqueueinfo,
    130: signal_calls.rt_sigsuspend,
    131: signal_calls.sigaltstack,
    200: kill_calls.tkill,
    234: kill_calls.tgkill,
    297: kill_calls.rt_tgsigqueueinfo,
    # the process
    39: process_calls.getpid,
    56: child_calls.clone,
    57: child_calls.fork_task,
    58: child_calls.vfork,
    60: process_calls.exit_thread,
    97: limit_calls.getrlimit,
    105: user_calls.setuid,
    106: user_calls.setgid,
    109: group_calls.setpgid,
    110: process_calls.getppid,
    111: group_calls.getpgrp,
    112: group_calls.setsid,
    113: user_calls.setreuid,
    114: user_calls.setregid,
    115: user_calls.getgroups,
    116: user_calls.setgroups,
    117: user_calls.setresuid,
    118: user_calls.getresuid,
    119: user_calls.setresgid,
    120: user_calls.getresgid,
    121: group_calls.getpgid,
    124: group_calls.getsid,
    140: group_calls.getpriority,
    141: group_calls.setpriority,
    157: process_calls.prctl,
    158: process_calls.arch_prctl,
    160: limit_calls.setrlimit,
    164: process_calls.refuse,  # settimeofday
    170: process_calls.refuse,  # sethostname
    171: process_calls.refuse,  # setdomainname
    227: process_calls.refuse,  # clock_settime
    186: process_calls.gettid,
    218: process_calls.set_tid_address,
    231: process_calls.exit_group,
    273: futex_calls.set_robust_list,
    274: futex_calls.get_robust_list,
    302: limit_calls.prlimit64,
    # time
    35: time_calls.nanosleep,
    36: timer_calls.getitimer,
    37: timer_calls.alarm,
    38: timer_calls.setitimer,
    96: time_calls.gettimeofday,
    98: time_calls.getrusage,
    100: time_calls.times,
    201: time_calls.time,
    228: time_calls.clock_gettime,
    229: time_calls.clock_getres,
    230: time_calls.clock_nanosleep,
    # waiting
    7: wait_calls.poll,
    23: select_calls.select,
    59: exec_calls.execve,
    322: exec_calls.execveat,
    61: child_calls.wait4,
    247: child_calls.waitid,
    202: futex_calls.futex,
    270: select_calls.pselect6,
    271: wait_calls.ppoll,
    213: interest_calls.epoll_create,
    291: interest_calls.epoll_create1,
    233: interest_calls.epoll_ctl,
    232: interest_calls.epoll_wait,
    281: interest_calls.epoll_pwait,
    441: interest_calls.epoll_pwait2,
    # sockets
    41: socket_calls.make,
    42: socket_calls.refuse,  # connect
    43: socket_calls.refuse,  # accept
    44: socket_calls.refuse,  # sendto
    45: socket_calls.refuse,  # recvfrom
    46: socket_calls.refuse,  # sendmsg
    47: socket_calls.refuse,  # recvmsg
    48: socket_calls.refuse,  # shutdown
    49: socket_calls.refuse,  # bind
    50: socket_calls.refuse,  # listen
    51: socket_calls.refuse,  # getsockname
    52: socket_calls.refuse,  # getpeername
    53: socket_calls.make,  # socketpair
    54: socket_calls.refuse,  # setsockopt
    55: socket_calls.refuse,  # getsockopt
    288: socket_calls.refuse,  # accept4
    299: socket_calls.refuse,  # recvmmsg
    307: socket_calls.refuse,  # sendmmsg
    # the machine
    63: system_calls.uname,
    95: system_calls.umask,
    99: system_calls.sysinfo,
    204: system_calls.sched_getaffinity,
    309: system_calls.getcpu,
    318: system_calls.getrandom,
    324: futex_calls.membarrier,
    24: group_calls.sched_yield,
    102: user_calls.getuid,
    104: user_calls.getgid,
    107: user_calls.geteuid,
    108: user_calls.getegid,
    162: system_calls.nothing,  # sync
    # tried by programs, and done without
    435: unknown.absent_call,  # clone3
    334: unknown.absent_call,  # rseq
}
