"""The system calls of x86-64: number, name, and what their arguments are. Facts of Linux's ABI, in one table.

Kinds of arguments; run/strace.py prints them:

    fd      a descriptor                    d, u, l  a number: int, unsigned long, long
    at      a descriptor of a folder        x, p     bits, an address: hexadecimal
    path    a text                          mode     rights of a file, octal
    in      a buffer that the call reads    sig      a signal
    out     a buffer that the call fills    others   flags or names, as listed there

Of arguments of the kinds path, in and out the kernel's record can have the bytes.
"""

from dataclasses import dataclass
from typing import Final

from incroos.lang.words import unsigned

NR_ARGUMENTS: Final = 6
UNKNOWN: Final = ('x',) * NR_ARGUMENTS
TEXTS: Final = ('path', 'in', 'out')

KNOWN: Final = """
0 read fd out u
1 write fd in u
2 open path open mode
3 close fd
4 stat path p
5 fstat fd p
6 lstat path p
7 poll p u d
8 lseek fd l whence
9 mmap p u prot map fd x
10 mprotect p u prot
11 munmap p u
12 brk p
13 rt_sigaction sig p p u
14 rt_sigprocmask how p p u
15 rt_sigreturn p
16 ioctl fd ioctl p
17 pread64 fd out u l
18 pwrite64 fd in u l
19 readv fd p d
20 writev fd p d
21 access path access
22 pipe p
23 select d p p p p
24 sched_yield
25 mremap p u u mremap p
26 msync p u msync
27 mincore p u p
28 madvise p u advice
32 dup fd
33 dup2 fd fd
34 pause
35 nanosleep p p
36 getitimer d p
37 alarm u
38 setitimer d p p
39 getpid
40 sendfile fd fd p u
41 socket d d d
42 connect fd p d
43 accept fd p p
44 sendto fd p u x p u
45 recvfrom fd p u x p p
46 sendmsg fd p x
47 recvmsg fd p x
48 shutdown fd d
49 bind fd p d
50 listen fd d
51 getsockname fd p p
52 getpeername fd p p
53 socketpair d d d p
54 setsockopt fd d d p d
55 getsockopt fd d d p p
56 clone clone p p p p
57 fork
58 vfork
59 execve path p p
60 exit d
61 wait4 d p wait p
62 kill d sig
63 uname p
72 fcntl fd fcntl x
73 flock fd d
74 fsync fd
75 fdatasync fd
76 truncate path l
77 ftruncate fd l
78 getdents fd p u
79 getcwd out u
80 chdir path
81 fchdir fd
82 rename path path
83 mkdir path mode
84 rmdir path
85 creat path mode
86 link path path
87 unlink path
88 symlink path path
89 readlink path out u
90 chmod path mode
91 fchmod fd mode
92 chown path d d
93 fchown fd d d
94 lchown path d d
95 umask mode
96 gettimeofday p p
97 getrlimit resource p
98 getrusage who p
99 sysinfo p
100 times p
101 ptrace d d p p
102 getuid
103 syslog d p d
104 getgid
105 setuid d
106 setgid d
107 geteuid
108 getegid
109 setpgid d d
110 getppid
111 getpgrp
112 setsid
113 setreuid d d
114 setregid d d
115 getgroups d p
116 setgroups d p
116 setgroups d p
117 setresuid d d d
118 getresuid p p p
119 setresgid d d d
120 getresgid p p p
121 getpgid d
122 setfsuid d
123 setfsgid d
124 getsid d
125 capget p p
126 capset p p
127 rt_sigpending p u
128 rt_sigtimedwait p p p u
129 rt_sigqueueinfo d sig p
130 rt_sigsuspend p u
131 sigaltstack p p
132 utime path p
133 mknod path mode x
135 personality x
137 statfs path p
138 fstatfs fd p
140 getpriority d d
141 setpriority d d d
142 sched_setparam d p
143 sched_getparam d p
144 sched_setscheduler d d p
145 sched_getscheduler d
146 sched_get_priority_max d
147 sched_get_priority_min d
148 sched_rr_get_interval d p
149 mlock p u
150 munlock p u
151 mlockall x
152 munlockall
153 vhangup
157 prctl d x x x x
158 arch_prctl arch p
160 setrlimit resource p
161 chroot path
162 sync
164 settimeofday p p
165 mount path path p x p
166 umount2 path x
169 reboot x x x p
170 sethostname p u
171 setdomainname p u
172 iopl d
173 ioperm u u d
186 gettid
187 readahead fd l u
200 tkill d sig
201 time p
202 futex p futex u p p x
203 sched_setaffinity d u p
204 sched_getaffinity d u p
205 set_thread_area p
211 get_thread_area p
213 epoll_create d
216 remap_file_pages p u prot u map
217 getdents64 fd p u
218 set_tid_address x
219 restart_syscall
221 fadvise64 fd l l d
222 timer_create clock p p
223 timer_settime d d p p
224 timer_gettime d p
225 timer_getoverrun d
226 timer_delete d
227 clock_settime clock p
228 clock_gettime clock p
229 clock_getres clock p
230 clock_nanosleep clock x p p
231 exit_group d
232 epoll_wait fd p d d
233 epoll_ctl fd d fd p
234 tgkill d d sig
235 utimes path p
237 mbind p u d p u x
238 set_mempolicy d p u
239 get_mempolicy p p u p x
247 waitid d d p wait p
253 inotify_init
254 inotify_add_watch fd path x
255 inotify_rm_watch fd d
257 openat at path open mode
258 mkdirat at path mode
259 mknodat at path mode x
260 fchownat at path d d atflags
261 futimesat at path p
262 newfstatat at path p atflags
263 unlinkat at path atflags
264 renameat at path at path
265 linkat at path at path atflags
266 symlinkat path at path
267 readlinkat at path out u
268 fchmodat at path mode
269 faccessat at path access
270 pselect6 d p p p p p
271 ppoll p u p p u
272 unshare clone
273 set_robust_list p u
274 get_robust_list d p p
275 splice fd p fd p u x
276 tee fd fd u x
277 sync_file_range fd l l x
278 vmsplice fd p u x
280 utimensat at path p atflags
281 epoll_pwait fd p d d p u
282 signalfd fd p u
283 timerfd_create clock x
284 eventfd u
285 fallocate fd d l l
286 timerfd_settime fd d p p
287 timerfd_gettime fd p
288 accept4 fd p p x
289 signalfd4 fd p u x
290 eventfd2 u x
291 epoll_create1 open
292 dup3 fd fd open
293 pipe2 p open
294 inotify_init1 open
295 preadv fd p d l x
296 pwritev fd p d l x
298 perf_event_open p d d fd x
302 prlimit64 d resource p p
306 syncfs fd
308 setns fd x
309 getcpu p p p
310 process_vm_readv d p u p u x
311 process_vm_writev d p u p u x
314 sched_setattr d p u
315 sched_getattr d p u u
316 renameat2 at path at path x
317 seccomp u u p
318 getrandom out u random
319 memfd_create path x
321 bpf d p u
322 execveat at path p p atflags
323 userfaultfd x
324 membarrier d u d
325 mlock2 p u u
326 copy_file_range fd p fd p u x
327 preadv2 fd p d l x x
328 pwritev2 fd p d l x x
329 pkey_mprotect p u prot d
330 pkey_alloc x x
331 pkey_free d
332 statx at path atflags x p
334 rseq p x x x
424 pidfd_send_signal fd sig p u
434 pidfd_open d u
435 clone3 p u
436 close_range u u x
437 openat2 at path p u
438 pidfd_getfd fd fd u
439 faccessat2 at path access atflags
440 process_madvise fd p u advice x
441 epoll_pwait2 fd p d p p u
447 memfd_secret x
"""

# Whose arguments nobody decodes: six words.
BY_NAME: Final = """
29 shmget, 30 shmat, 31 shmctl, 64 semget, 65 semop, 66 semctl, 67 shmdt, 68 msgget, 69 msgsnd, 70 msgrcv,
71 msgctl, 134 uselib, 136 ustat, 139 sysfs, 154 modify_ldt, 155 pivot_root, 156 _sysctl, 159 adjtimex, 163 acct,
167 swapon, 168 swapoff, 174 create_module, 175 init_module, 176 delete_module, 177 get_kernel_syms,
178 query_module, 179 quotactl, 180 nfsservctl, 181 getpmsg, 182 putpmsg, 183 afs_syscall, 184 tuxcall,
185 security, 188 setxattr, 189 lsetxattr, 190 fsetxattr, 191 getxattr, 192 lgetxattr, 193 fgetxattr,
194 listxattr, 195 llistxattr, 196 flistxattr, 197 removexattr, 198 lremovexattr, 199 fremovexattr, 206 io_setup,
207 io_destroy, 208 io_getevents, 209 io_submit, 210 io_cancel, 212 lookup_dcookie, 214 epoll_ctl_old,
215 epoll_wait_old, 220 semtimedop, 236 vserver, 240 mq_open, 241 mq_unlink, 242 mq_timedsend,
243 mq_timedreceive, 244 mq_notify, 245 mq_getsetattr, 246 kexec_load, 248 add_key, 249 request_key, 250 keyctl,
251 ioprio_set, 252 ioprio_get, 256 migrate_pages, 279 move_pages, 297 rt_tgsigqueueinfo, 299 recvmmsg,
300 fanotify_init, 301 fanotify_mark, 303 name_to_handle_at, 304 open_by_handle_at, 305 clock_adjtime,
307 sendmmsg, 312 kcmp, 313 finit_module, 320 kexec_file_load, 333 io_pgetevents, 425 io_uring_setup,
426 io_uring_enter, 427 io_uring_register, 428 open_tree, 429 move_mount, 430 fsopen, 431 fsconfig, 432 fsmount,
433 fspick, 442 mount_setattr, 443 quotactl_fd, 444 landlock_create_ruleset, 445 landlock_add_rule,
446 landlock_restrict_self, 448 process_mrelease, 449 futex_waitv, 450 set_mempolicy_home_node
"""


@dataclass(frozen=True)
class SystemCall:
    """A system call: its name, and the kind of each argument."""

    name: str
    kinds: tuple[str, ...]


def _calls() -> dict[int, SystemCall]:
    calls = {}
    for line in KNOWN.strip().splitlines():
        number, name, *kinds = line.split()
        calls[int(number)] = SystemCall(name, tuple(kinds))
    for pair in BY_NAME.replace('\n', ' ').split(','):
        number, name = pair.split()
        calls[int(number)] = SystemCall(name, UNKNOWN)
    return calls


SYSTEM_CALLS: Final = _calls()


def system_call(number: int) -> SystemCall:
    """The call of that number; one that is not there has its number as name."""
    return SYSTEM_CALLS.get(number) or SystemCall(f'syscall_{unsigned(number):#x}', UNKNOWN)
