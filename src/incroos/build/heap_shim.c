/* The parts of a hosted heap that need C: the thread's heap, memory from the system, errno, and malloc's names. The
 * rest is kernel Python (hosted/), which is linked with this file. With INCRO_MALLOC it also exports malloc's names. */
#define _GNU_SOURCE
#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "incro_heap.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define EXPORT __attribute__((visibility("default")))
#define HIDDEN __attribute__((visibility("hidden")))
#define COLD __attribute__((cold, noinline))
#define PAGE ((size_t)4096)
#define SIGNALS_SEE_ORDER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define SITE ((word)(uintptr_t)__builtin_return_address(0))
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

typedef int64_t word;
struct heap; /* the HostedHeap struct, at the start of its slot */

/* Pool in hosted/pool.py */
struct pool {
    word base, slot_bytes, nr_slots, nr_wide, shared, holders;
    word give_way, map, unmap, release, renew, move, no_room, stop, secret, is_much_waiting;
};

struct figures { /* in hosted/figures.py */
    word system_bytes, used_bytes, nr_free, last_bytes;
};
enum { OK = 0, NO_FRAME = -1, NOT_MAPPED = -10, NO_ADDRESSES = -16 }; /* kernel/codes.py */
enum { ZEROED = 0 };                                /* hosted/malloc.py, in the place of an alignment */

#pragma GCC visibility push(hidden)
#include "heap_calls.h" /* the kernel functions, from the table in hosted/calls.py */
#pragma GCC visibility pop

static struct pool pool;
/* NULL: none yet, or none alone. heap_entries.py has the calls that read it most. */
__thread struct heap *incro_own __attribute__((tls_model("initial-exec"), visibility("hidden")));
#define own incro_own
static __thread char has_asked __attribute__((tls_model("initial-exec"))); /* for a heap, and got one or none */
static __thread char is_inside __attribute__((tls_model("initial-exec"))); /* the heap of threads without one */

/* ------------------------------------------------------------------ what the kernel asks for through call4 */
/* Fresh pages where nothing was mapped. Linux before 4.17 does not know MAP_FIXED_NOREPLACE, and answers with pages
 * elsewhere where others have these. */
static word map(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    int before = errno;
    word code = OK;
    void *at = mmap((void *)start, (size_t)nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED) {
        code = errno == EEXIST ? NO_ADDRESSES : NO_FRAME;
    } else if (at != (void *)start) {
        munmap(at, (size_t)nbytes);
        code = NO_ADDRESSES;
    }
    errno = before;
    return code;
}

static word unmap(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    int before = errno;
    word code = munmap((void *)start, (size_t)nbytes);
    errno = before;
    return code;
}

static word release(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    int before = errno;
    word code = madvise((void *)start, (size_t)nbytes, MADV_DONTNEED);
    errno = before;
    return code;
}

static word renew(word start, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    int before = errno;
    void *at = mmap((void *)start, (size_t)nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    errno = before;
    return at == (void *)start ? OK : NO_FRAME;
}

/* Pages that went away leave a hole, which is filled, and so is the place where they should have gone: the system may
 * unmap it before it refuses. */
static word move(word start, word nbytes, word to, word to_bytes)
{
    int before = errno;
    void *at = mremap((void *)start, (size_t)nbytes, (size_t)to_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);
    word code;
    if (at == (void *)to)
        code = map(start, nbytes, 0, 0) == OK ? OK : NOT_MAPPED;
    else
        code = map(to, to_bytes, 0, 0) == NO_FRAME ? NO_ADDRESSES : NO_FRAME;
    errno = before;
    return code;
}

/* Sleep for a moment, so that a thread of a lower priority runs as well. Any sandbox with threads allows this call. */
static word give_way(word unused, word unused_too, word nothing, word nothing_too)
{
    (void)unused, (void)unused_too, (void)nothing, (void)nothing_too;
    static const uint32_t never_changes = 0;
    const struct timespec moment = {.tv_nsec = 20000};
    int before = errno;
    syscall(SYS_futex, &never_changes, FUTEX_WAIT_PRIVATE, 0, &moment, NULL, 0);
    errno = before;
    return 0;
}

static word stop(word text, word nbytes, word unused, word unused_too)
{
    (void)unused, (void)unused_too;
    static const char name[] = "incro_heap: ";
    ssize_t written = write(STDERR_FILENO, name, sizeof name - 1);
    written = write(STDERR_FILENO, (const void *)text, (size_t)nbytes);
    written = write(STDERR_FILENO, "\n", 1);
    (void)written;
    abort();
}

/* ------------------------------------------------------------------ addresses for all heaps */
/* Linux puts nothing here by itself: a program lies below, or from two thirds of all addresses on with its stack and
 * mmap's mappings behind; without random addresses mappings begin at one third. Somewhere in it are the slots. */
#define AREA ((uintptr_t)0x100000000000)
#define AREA_END ((uintptr_t)0x2A0000000000)
#define SLOT_BYTES ((size_t)32 << 30)
#define NR_SLOTS ((size_t)768)
#define MOST_WIDE_BYTES ((size_t)1 << 40) /* half of it is for chunks, whose headers have 40 bits for their bytes */
#define MAX_TRIES 16

static uint64_t random_word(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
        value = (uint64_t)(uintptr_t)&pool * 0x9E3779B97F4A7C15 ^ (uint64_t)getpid() << 32;
    return value;
}

static size_t nr_wide_slots(void)
{
    size_t ram = (size_t)sysconf(_SC_PHYS_PAGES) * PAGE, nbytes = SLOT_BYTES;
    while (nbytes < 2 * ram && nbytes < MOST_WIDE_BYTES)
        nbytes *= 2;
    return nbytes / SLOT_BYTES;
}

/* Choose addresses of which the first are free; nothing is kept there. Where a program has none in the area (valgrind
 * and emulators keep them), the system says where there are as many as can be. */
COLD static void choose(void)
{
    static word holders[NR_SLOTS];
    const size_t nr_places = (AREA_END - AREA - NR_SLOTS * SLOT_BYTES) / PAGE;
    for (int nr_tries = 0; nr_tries < MAX_TRIES; nr_tries++) {
        word base = (word)(AREA + random_word() % nr_places * PAGE);
        if (map(base, PAGE, 0, 0) == OK) {
            unmap(base, PAGE, 0, 0);
            incro_k_init(&pool, base, SLOT_BYTES, NR_SLOTS, (word)nr_wide_slots(), holders);
            return;
        }
    }
    for (size_t nr_slots = NR_SLOTS; nr_slots > 0; nr_slots /= 2) {
        void *base = mmap(NULL, nr_slots * SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base != MAP_FAILED) {
            munmap(base, nr_slots * SLOT_BYTES);
            incro_k_init(&pool, (word)(uintptr_t)base, SLOT_BYTES, (word)nr_slots, (word)nr_wide_slots(), holders);
            return;
        }
    }
    incro_k_init(&pool, 0, 0, 0, 0, holders);
}

/* ------------------------------------------------------------------ start and end of threads and processes */
static pthread_key_t key;
static char has_key;

static void set_own(struct heap *heap)
{
    own = heap;
    if (has_key)
        pthread_setspecific(key, heap); /* which may ask for memory itself */
}

static void end_of_thread(void *heap)
{
    own = NULL; /* destructors that run later use the shared heap */
    incro_k_leave(heap);
}

/* A signal handler may fork in the middle of a call. So while fork's handlers run, the thread has another heap than the
 * one that may be in use, as if it had just begun. Handlers that were registered after these run outside of that. */
static __thread struct {
    struct heap *own;
    pid_t process; /* that forks: its child has the same number if each is the first of a namespace */
    char has_asked, nr_forks; /* more than one: a signal handler forks while fork's handlers run */
} aside __attribute__((tls_model("initial-exec")));

static void before_fork(void)
{
    aside.process = getpid();
    if (aside.nr_forks++ > 0)
        return;
    SIGNALS_SEE_ORDER();
    aside.own = own;
    aside.has_asked = has_asked;
    own = NULL;
    has_asked = 0;
}

static void after_fork(void)
{
    struct heap *meanwhile = NULL;
    if (aside.nr_forks == 1) {
        meanwhile = own;
        own = aside.own;
        has_asked = aside.has_asked;
    }
    SIGNALS_SEE_ORDER();
    aside.nr_forks--;
    if (meanwhile != NULL) {
        set_own(own);
        incro_k_leave(meanwhile);
    }
}

static void after_fork_in_child(void)
{
    const pid_t parent = aside.process;
    aside.process = getpid(); /* goes on with a fork that a signal handler interrupted */
    after_fork();
    incro_k_after_fork_in_child(&pool, own, parent, getpid());
}

/* A heap has no room for a request: its thread goes on with another one if it was addresses that ran out. */
static word no_room(word heap, word alignment, word nbytes, word site)
{
    struct heap *other = NULL;
    if (own != NULL && heap == (word)(uintptr_t)own)
        other = incro_k_exchange(&pool, own, alignment, nbytes, getpid());
    if (other == NULL) {
        errno = ENOMEM;
        return 0;
    }
    set_own(other);
    if (alignment == ZEROED)
        return (word)(uintptr_t)incro_k_calloc(other, 1, nbytes, site);
    return (word)(uintptr_t)incro_k_memalign(other, alignment, nbytes, site);
}

/* Runs before any thread but the first; constructors and the loader may ask for memory even before it. */
COLD static void begin_process(void)
{
    if (pool.stop != 0)
        return;
    pool.give_way = (word)(uintptr_t)give_way;
    pool.map = (word)(uintptr_t)map;
    pool.unmap = (word)(uintptr_t)unmap;
    pool.release = (word)(uintptr_t)release;
    pool.renew = (word)(uintptr_t)renew;
    pool.move = (word)(uintptr_t)move;
    pool.no_room = (word)(uintptr_t)no_room;
    pool.stop = (word)(uintptr_t)stop;
    pool.secret = (word)random_word();
    choose();
}

__attribute__((constructor)) static void begin_library(void)
{
    begin_process();
    has_key = pthread_key_create(&key, end_of_thread) == 0;
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* The heap of this thread, made at its first request; NULL if there is no heap for it alone. */
COLD static struct heap *ask_for_heap(void)
{
    if (has_asked)
        return NULL;
    has_asked = 1;
    int before = errno;
    begin_process();
    struct heap *heap = incro_k_get(&pool, getpid());
    if (heap != NULL)
        set_own(heap);
    errno = before;
    return own;
}

/* ------------------------------------------------------------------ the heap of threads without one */
COLD static struct heap *enter(void)
{
    struct heap *heap = own != NULL ? own : ask_for_heap();
    if (heap != NULL || is_inside) /* by a call that fork's handlers interrupted: there is no heap */
        return heap;
    is_inside = 1;
    heap = incro_k_enter_shared(&pool, getpid());
    if (heap == NULL)
        is_inside = 0;
    return heap;
}

COLD static void leave(struct heap *heap)
{
    if (own == NULL) {
        incro_k_leave_shared(heap);
        is_inside = 0;
    }
}

COLD static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

COLD HIDDEN void *incro_malloc_rarely(size_t nbytes, word site)
{
    struct heap *heap = enter();
    if (heap == NULL)
        return none();
    void *ptr = incro_k_malloc(heap, (word)nbytes, site);
    leave(heap);
    return ptr;
}

COLD HIDDEN void incro_free_rarely(void *ptr, word site)
{
    static const char wrong[] = "free of a pointer that is not allocated";
    if (ptr == NULL)
        return;
    struct heap *heap = enter();
    if (heap != NULL) {
        incro_k_free(heap, ptr, site);
        leave(heap);
    } else if (!incro_k_give_back(&pool, ptr)) {
        stop((word)(uintptr_t)wrong, sizeof wrong - 1, 0, 0);
    }
}

/* ------------------------------------------------------------------ the calls, without incro_malloc and incro_free */
EXPORT void *incro_calloc(size_t nr_items, size_t item_bytes)
{
    size_t nbytes;
    if (__builtin_mul_overflow(nr_items, item_bytes, &nbytes) || nbytes > PTRDIFF_MAX)
        return none();
    struct heap *heap = LIKELY(own != NULL) ? own : enter();
    if (UNLIKELY(heap == NULL))
        return none();
    void *ptr = incro_k_calloc(heap, 1, (word)nbytes, SITE);
    if (UNLIKELY(own == NULL))
        leave(heap);
    return ptr;
}

EXPORT void *incro_realloc(void *ptr, size_t nbytes)
{
    if (ptr == NULL)
        return incro_malloc(nbytes);
    if (nbytes == 0) {
        incro_free(ptr);
        return NULL;
    }
    if (nbytes > PTRDIFF_MAX)
        return none();
    struct heap *heap = LIKELY(own != NULL) ? own : enter();
    void *new = heap != NULL ? incro_k_realloc(heap, ptr, (word)nbytes, SITE) : NULL;
    if (UNLIKELY(own == NULL) && heap != NULL)
        leave(heap);
    return LIKELY(new != NULL) ? new : none();
}

/* PRE alignment is a power of two. */
static void *aligned(size_t alignment, size_t nbytes, word site)
{
    if (alignment > PTRDIFF_MAX || nbytes > PTRDIFF_MAX)
        return none();
    struct heap *heap = LIKELY(own != NULL) ? own : enter();
    if (UNLIKELY(heap == NULL))
        return none();
    void *ptr = incro_k_memalign(heap, (word)alignment, (word)nbytes, site);
    if (UNLIKELY(own == NULL))
        leave(heap);
    return ptr;
}

static void *invalid(void)
{
    errno = EINVAL;
    return NULL;
}

static int is_power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

EXPORT void *incro_memalign(size_t alignment, size_t nbytes)
{
    return is_power_of_two(alignment) ? aligned(alignment, nbytes, SITE) : invalid();
}

EXPORT size_t incro_malloc_usable_size(void *ptr)
{
    struct heap *heap = ptr != NULL ? enter() : NULL;
    if (heap == NULL)
        return 0;
    size_t nbytes = (size_t)incro_k_usable_bytes(heap, ptr);
    leave(heap);
    return nbytes;
}

EXPORT size_t incro_malloc_trim(void)
{
    size_t nbytes = 0;
    if (!is_inside) {
        is_inside = 1;
        nbytes = (size_t)incro_k_trim_others(&pool, getpid());
        is_inside = 0;
    }
    struct heap *heap = enter();
    if (heap == NULL)
        return nbytes;
    nbytes += (size_t)incro_k_trim(heap);
    leave(heap);
    return nbytes;
}

EXPORT int incro_malloc_check(void)
{
    struct heap *heap = enter();
    if (heap == NULL)
        return 0;
    int code = (int)incro_k_check(heap);
    leave(heap);
    return code;
}

#ifdef INCRO_MALLOC
EXPORT void *calloc(size_t nr_items, size_t item_bytes) __attribute__((alias("incro_calloc")));
EXPORT void *realloc(void *ptr, size_t nbytes) __attribute__((alias("incro_realloc")));
EXPORT size_t malloc_usable_size(void *ptr) __attribute__((alias("incro_malloc_usable_size")));

/* As glibc's: an alignment that is no power of two is rounded up to one. */
static void *rounded(size_t alignment, size_t nbytes, word site)
{
    size_t power = 1;
    if (alignment > SIZE_MAX / 2 + 1)
        return invalid();
    while (power < alignment)
        power *= 2;
    return aligned(power, nbytes, site);
}

EXPORT void *memalign(size_t alignment, size_t nbytes)
{
    return rounded(alignment, nbytes, SITE);
}

/* C demands a power of two, and so does glibc from 2.38 on; before that it is memalign. */
EXPORT void *aligned_alloc(size_t alignment, size_t nbytes)
{
    if (!is_power_of_two(alignment) && atoi(gnu_get_libc_version() + 2) >= 38)
        return invalid();
    return rounded(alignment, nbytes, SITE);
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t nbytes)
{
    if (alignment < sizeof(void *) || !is_power_of_two(alignment))
        return EINVAL;
    int before = errno; /* which this call leaves alone */
    void *ptr = aligned(alignment, nbytes, SITE);
    errno = before;
    if (ptr == NULL)
        return ENOMEM;
    *result = ptr;
    return 0;
}

EXPORT void *valloc(size_t nbytes)
{
    return aligned(PAGE, nbytes, SITE);
}

EXPORT void *pvalloc(size_t nbytes)
{
    return nbytes > SIZE_MAX - PAGE ? none() : aligned(PAGE, (nbytes + PAGE - 1) & -PAGE, SITE);
}

EXPORT void *reallocarray(void *ptr, size_t nr_items, size_t item_bytes)
{
    size_t nbytes;
    return __builtin_mul_overflow(nr_items, item_bytes, &nbytes) ? none() : incro_realloc(ptr, nbytes);
}

/* ------------------------------------------------------------------ what glibc tells of its heap, told of ours */
static struct figures all_figures(void)
{
    struct figures sum = {0}, one;
    for (word number = 0; number < pool.nr_slots; number++)
        if (incro_k_count(&pool, number, own, &one)) {
            sum.system_bytes += one.system_bytes;
            sum.used_bytes += one.used_bytes;
            sum.nr_free += one.nr_free;
            if (number == ((word)(uintptr_t)own - pool.base) / pool.slot_bytes)
                sum.last_bytes = one.last_bytes;
        }
    return sum;
}

/* No block has a mapping of its own, and there are no fast bins. */
EXPORT struct mallinfo2 mallinfo2(void)
{
    struct figures sum = all_figures();
    return (struct mallinfo2){
        .arena = (size_t)sum.system_bytes,
        .ordblks = (size_t)sum.nr_free,
        .uordblks = (size_t)sum.used_bytes,
        .fordblks = (size_t)(sum.system_bytes - sum.used_bytes),
        .keepcost = (size_t)sum.last_bytes,
    };
}

static struct mallinfo narrow_info(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = (int)wide.arena,
        .ordblks = (int)wide.ordblks,
        .uordblks = (int)wide.uordblks,
        .fordblks = (int)wide.fordblks,
        .keepcost = (int)wide.keepcost,
    };
}

EXPORT struct mallinfo mallinfo(void)
{
    return narrow_info();
}

/* What can be set there has no counterpart here; the answer is glibc's. */
EXPORT int mallopt(int what, int value)
{
    return what != M_MXFAST || (0 <= value && value <= (int)(80 * sizeof(size_t) / 4));
}

EXPORT int malloc_trim(size_t kept)
{
    (void)kept; /* behind the last block: the next requests get fresh pages */
    return incro_malloc_trim() != 0;
}

static void put_stats(const char *title, word number, const struct figures *figures)
{
    fprintf(stderr, title, (int)number);
    fprintf(stderr, "system bytes     = %10zu\nin use bytes     = %10zu\n", (size_t)figures->system_bytes,
            (size_t)figures->used_bytes);
}

EXPORT void malloc_stats(void)
{
    struct figures sum = {0}, one;
    word nr_heaps = 0;
    for (word number = 0; number < pool.nr_slots; number++)
        if (incro_k_count(&pool, number, own, &one)) {
            put_stats("Arena %d:\n", nr_heaps++, &one);
            sum.system_bytes += one.system_bytes;
            sum.used_bytes += one.used_bytes;
        }
    put_stats("Total (incl. mmap):\n", 0, &sum);
    fprintf(stderr, "max mmap regions = %10d\nmax mmap bytes   = %10d\n", 0, 0);
}

/* The lines of `mappings` are between those of totals and of the system. */
static void put_info(FILE *to, const struct figures *figures, const char *mappings)
{
    const size_t nbytes = (size_t)figures->system_bytes;
    fprintf(to, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n%s",
            (size_t)figures->nr_free, nbytes - (size_t)figures->used_bytes, mappings);
    fprintf(to, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", nbytes, nbytes);
    fprintf(to, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n", nbytes, nbytes);
}

EXPORT int malloc_info(int options, FILE *to)
{
    if (options != 0)
        return EINVAL;
    struct figures one;
    int nr_heaps = 0;
    fputs("<malloc version=\"1\">\n", to);
    for (word number = 0; number < pool.nr_slots; number++)
        if (incro_k_count(&pool, number, own, &one)) {
            fprintf(to, "<heap nr=\"%d\">\n<sizes>\n</sizes>\n", nr_heaps++);
            put_info(to, &one, "");
            fputs("</heap>\n", to);
        }
    one = all_figures();
    put_info(to, &one, "<total type=\"mmap\" count=\"0\" size=\"0\"/>\n");
    fputs("</malloc>\n", to);
    return 0;
}

/* ------------------------------------------------------------------ names that glibc has besides, of the same heap
 * Programs of the time before glibc 2.26 call cfree; C23 has the others. */
EXPORT void free_sized(void *ptr, size_t nbytes)
{
    (void)nbytes;
    incro_free(ptr);
}

EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t nbytes)
{
    (void)alignment, (void)nbytes;
    incro_free(ptr);
}

EXPORT void *__libc_calloc(size_t nr_items, size_t item_bytes) __attribute__((alias("incro_calloc")));
EXPORT void *__libc_realloc(void *ptr, size_t nbytes) __attribute__((alias("incro_realloc")));

EXPORT void *__libc_memalign(size_t alignment, size_t nbytes)
{
    return rounded(alignment, nbytes, SITE);
}

EXPORT void *__libc_valloc(size_t nbytes)
{
    return aligned(PAGE, nbytes, SITE);
}

EXPORT void *__libc_pvalloc(size_t nbytes)
{
    return pvalloc(nbytes);
}

EXPORT struct mallinfo __libc_mallinfo(void)
{
    return narrow_info();
}

EXPORT int __libc_mallopt(int what, int value)
{
    return mallopt(what, value);
}
#endif
