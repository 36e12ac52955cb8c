/* The recorder: a library for LD_PRELOAD that records each call of malloc and its relatives, and passes it on to the
   next library that has the function.

   Unit: the record, three words (lab/raw.py reads them):

       word 0    size
       word 1    number of the thread, counted from 0 in the order of first calls
       word 2    kind << 56 | log2 of the alignment << 48 | address

   Records go into a file through a shared mapping, so they survive however the process ends, even by _exit or SIGKILL.
   A record's kind is stored last, so a half-written one is recognised. A thread takes the next record with one atomic
   addition, without any lock. A free takes its record before it frees the block, and an allocation after it received
   the block, so that of two users of one address the earlier one comes first.

   In a child of fork the page with the state is zero and the mapping is not inherited: the child begins its own file
   with its first call, or none. Each program that a process becomes by exec begins a file when it starts. Not all have
   a recorder, so the file of the program before counts the calls of exec that did not come back. Knows nothing of
   identities, of what a block is for, or of the format of traces. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

enum kind { ALLOCATE = 1, ALLOCATE_ZEROED, ALLOCATE_ALIGNED, FREE, REALLOCATE_FROM, REALLOCATE_TO };

struct record {
    uint64_t size;
    uint64_t thread;
    _Atomic uint64_t head; /* stored last */
};

/* The start of a file: lab/raw.py */
struct file {
    _Atomic uint64_t nr_records; /* taken, also beyond the capacity */
    uint64_t capacity;
    _Atomic uint64_t nr_leaving; /* calls of exec under way; not 0 at the end: the process became another program */
    struct record records[];
};

/* In a page of its own, which a child of fork finds zero. */
struct state {
    _Atomic int stage;
    struct file *file; /* none: this process is not recorded */
    pid_t process;     /* whose file it is: a child of vfork sees it, too */
    _Atomic uint64_t nr_threads;
};

enum stage { NEW, STARTING, STARTED };

static struct state *state;
THREAD_LOCAL int is_inside;      /* of a call that is noted already */
THREAD_LOCAL uint64_t my_number; /* plus 1 */
THREAD_LOCAL struct file *my_file; /* for which the number is */

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static void *(*next_memalign)(size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_valloc)(size_t);
static void *(*next_pvalloc)(size_t);
static int (*next_execve)(const char *, char *const[], char *const[]);
static int (*next_execvpe)(const char *, char *const[], char *const[]);
static int (*next_fexecve)(int, char *const[], char *const[]);
static int (*next_execveat)(int, const char *, char *const[], char *const[], int);

/* --- Memory for dlsym, which may ask for some before the next library is known. Never freed. */

static _Alignas(16) char early[1 << 16];
static size_t early_used;
static int is_resolving;

static void *early_alloc(size_t nbytes) {
    size_t start = early_used;
    if (nbytes > sizeof early - 32 - start)
        return NULL;
    memcpy(early + start, &nbytes, sizeof nbytes);
    early_used = start + 16 + ((nbytes + 15) & ~(size_t)15);
    return early + start + 16;
}

static int is_early(const void *ptr) { return (const char *)ptr >= early && (const char *)ptr < early + sizeof early; }

static size_t early_size(const void *ptr) {
    size_t nbytes;
    memcpy(&nbytes, (const char *)ptr - 16, sizeof nbytes);
    return nbytes;
}

static void resolve(void) {
    is_resolving = 1;
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    *(void **)&next_memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&next_aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next_valloc = dlsym(RTLD_NEXT, "valloc");
    *(void **)&next_pvalloc = dlsym(RTLD_NEXT, "pvalloc");
    *(void **)&next_execve = dlsym(RTLD_NEXT, "execve");
    *(void **)&next_execvpe = dlsym(RTLD_NEXT, "execvpe");
    *(void **)&next_fexecve = dlsym(RTLD_NEXT, "fexecve");
    *(void **)&next_execveat = dlsym(RTLD_NEXT, "execveat");
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED || madvise(state, 4096, MADV_WIPEONFORK) != 0)
        state = NULL;
    is_resolving = 0;
}

static inline int is_ready(void) {
    if (__builtin_expect(next_malloc == NULL, 0)) {
        if (is_resolving)
            return 0;
        resolve();
    }
    return 1;
}

/* --- The file */

/* Is this process to be recorded? Either every process is, or only the child of the one that the environment names. */
static int is_wanted(void) {
    const char *parent = getenv("INCROOS_TRACE_PARENT");
    return parent == NULL || (pid_t)atol(parent) == getppid();
}

/* A file of its own for each image that a process runs: PID.0, after an exec PID.1, ... */
static int open_file(const char *folder) {
    char path[4096];
    for (int image = 0; image < 1000; image++) {
        if (snprintf(path, sizeof path, "%s/%d.%d", folder, (int)getpid(), image) >= (int)sizeof path)
            return -1;
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* The file is sparse: unwritten parts take no space. */
static struct file *map_file(void) {
    const char *folder = getenv("INCROOS_TRACE_FOLDER"), *most = getenv("INCROOS_TRACE_RECORDS");
    if (folder == NULL || most == NULL || !is_wanted())
        return NULL;
    uint64_t capacity = strtoull(most, NULL, 10);
    size_t nbytes = sizeof(struct file) + capacity * sizeof(struct record);
    int fd = open_file(folder);
    if (fd < 0)
        return NULL;
    struct file *file = MAP_FAILED;
    if (ftruncate(fd, (off_t)nbytes) == 0)
        file = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return NULL;
    madvise(file, nbytes, MADV_DONTFORK);
    file->capacity = capacity;
    return file;
}

/* The file of this process, or NULL. The first caller begins it; calls of others meanwhile are not recorded. */
static struct file *my_process(void) {
    if (__builtin_expect(state == NULL, 0))
        return NULL;
    int stage = atomic_load_explicit(&state->stage, memory_order_acquire);
    if (__builtin_expect(stage == STARTED, 1))
        return state->file;
    if (stage != NEW || !atomic_compare_exchange_strong(&state->stage, &stage, STARTING))
        return NULL;
    int kept = errno;
    state->file = map_file();
    state->process = getpid();
    errno = kept;
    atomic_store_explicit(&state->stage, STARTED, memory_order_release);
    return state->file;
}

/* A program that never allocates begins its file, too. */
__attribute__((constructor)) static void begin(void) {
    if (is_ready())
        my_process();
}

static void note(enum kind kind, const void *ptr, uint64_t size, size_t alignment) {
    struct file *file = my_process();
    if (file == NULL)
        return;
    if (my_file != file || my_number == 0) { /* a thread's first call, or the first after a fork */
        my_file = file;
        my_number = atomic_fetch_add_explicit(&state->nr_threads, 1, memory_order_relaxed) + 1;
    }
    uint64_t index = atomic_fetch_add_explicit(&file->nr_records, 1, memory_order_acq_rel);
    if (index >= file->capacity)
        return;
    uint64_t shift = alignment ? (uint64_t)__builtin_ctzll(alignment) : 0;
    struct record *record = &file->records[index];
    record->size = size;
    record->thread = my_number - 1;
    uint64_t head = (uint64_t)kind << 56 | shift << 48 | ((uintptr_t)ptr & 0xFFFFFFFFFFFF);
    atomic_store_explicit(&record->head, head, memory_order_release);
}

/* A nested call belongs to the outer one and is not recorded. Neither is an allocation that failed. */
static void *noted(enum kind kind, void *ptr, size_t size, size_t alignment) {
    if (ptr != NULL && is_inside == 0)
        note(kind, ptr, size, alignment);
    return ptr;
}

/* --- malloc and its relatives */

EXPORT void *malloc(size_t nbytes) {
    if (!is_ready())
        return early_alloc(nbytes);
    is_inside++;
    void *ptr = next_malloc(nbytes);
    is_inside--;
    return noted(ALLOCATE, ptr, nbytes, 0);
}

EXPORT void *calloc(size_t count, size_t nbytes) {
    size_t all = 0;
    int is_too_much = __builtin_mul_overflow(count, nbytes, &all);
    if (!is_ready())
        return is_too_much ? NULL : early_alloc(all);
    is_inside++;
    void *ptr = next_calloc(count, nbytes);
    is_inside--;
    return noted(ALLOCATE_ZEROED, ptr, all, 0);
}

EXPORT void free(void *ptr) {
    if (ptr == NULL || is_early(ptr) || !is_ready())
        return;
    if (is_inside == 0)
        note(FREE, ptr, 0, 0);
    is_inside++;
    next_free(ptr);
    is_inside--;
}

/* Two records: between them another thread may get the old address. */
EXPORT void *realloc(void *ptr, size_t nbytes) {
    if (ptr == NULL)
        return malloc(nbytes);
    if (is_early(ptr)) {
        void *copy = malloc(nbytes);
        if (copy != NULL)
            memcpy(copy, ptr, nbytes < early_size(ptr) ? nbytes : early_size(ptr));
        return copy;
    }
    if (!is_ready())
        return NULL;
    if (is_inside == 0)
        note(REALLOCATE_FROM, ptr, nbytes, 0);
    is_inside++;
    void *moved = next_realloc(ptr, nbytes);
    is_inside--;
    if (is_inside == 0)
        note(REALLOCATE_TO, moved, nbytes, 0);
    return moved;
}

EXPORT void *reallocarray(void *ptr, size_t count, size_t nbytes) {
    size_t all;
    if (__builtin_mul_overflow(count, nbytes, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(ptr, all);
}

EXPORT void *memalign(size_t alignment, size_t nbytes) {
    if (!is_ready() || next_memalign == NULL)
        return NULL;
    is_inside++;
    void *ptr = next_memalign(alignment, nbytes);
    is_inside--;
    return noted(ALLOCATE_ALIGNED, ptr, nbytes, alignment);
}

EXPORT void *aligned_alloc(size_t alignment, size_t nbytes) {
    if (!is_ready() || next_aligned_alloc == NULL)
        return NULL;
    is_inside++;
    void *ptr = next_aligned_alloc(alignment, nbytes);
    is_inside--;
    return noted(ALLOCATE_ALIGNED, ptr, nbytes, alignment);
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t nbytes) {
    if (!is_ready() || next_posix_memalign == NULL)
        return ENOMEM;
    is_inside++;
    int code = next_posix_memalign(result, alignment, nbytes);
    is_inside--;
    if (code == 0)
        noted(ALLOCATE_ALIGNED, *result, nbytes, alignment);
    return code;
}

EXPORT void *valloc(size_t nbytes) {
    if (!is_ready() || next_valloc == NULL)
        return NULL;
    is_inside++;
    void *ptr = next_valloc(nbytes);
    is_inside--;
    return noted(ALLOCATE_ALIGNED, ptr, nbytes, (size_t)sysconf(_SC_PAGESIZE));
}

EXPORT void *pvalloc(size_t nbytes) {
    if (!is_ready() || next_pvalloc == NULL)
        return NULL;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    is_inside++;
    void *ptr = next_pvalloc(nbytes);
    is_inside--;
    return noted(ALLOCATE_ALIGNED, ptr, (nbytes + page - 1) & ~(page - 1), page);
}

/* --- exec and its relatives */

/* Count a call of exec; the file in which it is counted, or NULL where nothing of this process is recorded. */
static struct file *leave(void) {
    if (!is_ready() || state == NULL || atomic_load_explicit(&state->stage, memory_order_acquire) != STARTED)
        return NULL;
    struct file *file = state->process == getpid() ? state->file : NULL;
    if (file != NULL)
        atomic_fetch_add(&file->nr_leaving, 1);
    return file;
}

/* It came back: the process goes on as it was. */
static int stay(struct file *file, int result) {
    if (file != NULL)
        atomic_fetch_sub(&file->nr_leaving, 1);
    return result;
}

EXPORT int execve(const char *path, char *const words[], char *const environment[]) {
    struct file *file = leave();
    return stay(file, next_execve(path, words, environment));
}

EXPORT int execvpe(const char *name, char *const words[], char *const environment[]) {
    struct file *file = leave();
    return stay(file, next_execvpe(name, words, environment));
}

EXPORT int fexecve(int fd, char *const words[], char *const environment[]) {
    struct file *file = leave();
    return stay(file, next_fexecve(fd, words, environment));
}

EXPORT int execveat(int fd, const char *path, char *const words[], char *const environment[], int flags) {
    struct file *file = leave();
    if (next_execveat != NULL)
        return stay(file, next_execveat(fd, path, words, environment, flags));
    errno = ENOSYS; /* an older C library */
    return stay(file, -1);
}

EXPORT int execv(const char *path, char *const words[]) { return execve(path, words, environ); }

EXPORT int execvp(const char *name, char *const words[]) { return execvpe(name, words, environ); }

/* The words that a caller lists, up to NULL. On the stack, as there may be no other memory between vfork and exec. */
#define LISTED(first, others) \
    size_t nr_words = 1; \
    va_start(others, first); \
    while (va_arg(others, char *) != NULL) \
        nr_words++; \
    va_end(others); \
    char *words[nr_words + 1]; \
    words[0] = (char *)first; \
    va_start(others, first); \
    for (size_t index = 1; index <= nr_words; index++) \
        words[index] = va_arg(others, char *)

EXPORT int execl(const char *path, const char *first, ...) {
    va_list others;
    LISTED(first, others);
    va_end(others);
    return execv(path, words);
}

EXPORT int execlp(const char *name, const char *first, ...) {
    va_list others;
    LISTED(first, others);
    va_end(others);
    return execvp(name, words);
}

EXPORT int execle(const char *path, const char *first, ...) {
    va_list others;
    LISTED(first, others);
    char *const *environment = va_arg(others, char *const *);
    va_end(others);
    return execve(path, words, environment);
}
