/* The simulated computer's loads and stores, in C: the same TLB, upper entries, walk and checks, and the timed loops. */
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t i64;

#define ARENA 0x40000000UL
#define RAM (ARENA + 0x20000000)
#define RAM_BYTES 0x1000000UL
#define ABSENT (ARENA + 0x23000000)
#define ROOT 0x100000UL
#define FAR (1UL << 44)

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096UL
#define OFFSET_MASK (PAGE_BYTES - 1)
#define PAGE_MASK (~OFFSET_MASK)
#define LEVEL_BITS 9
#define ROOT_LEVEL 4
#define TLB_SLOTS 256
#define UPPER_SLOTS 32
#define NO_PAGE 1
#define NO_PREFIX (1UL << 62)

#define PRESENT (1UL << 0)
#define WRITABLE (1UL << 1)
#define USER (1UL << 2)
#define ACCESSED (1UL << 5)
#define DIRTY (1UL << 6)
#define LEAF (1UL << 7)
#define GLOBAL (1UL << 8)
#define NX (1UL << 63)
#define FRAME ((1UL << 52) - PAGE_BYTES)
#define HUGE_RESERVED ((1UL << 21) - (1UL << 13))
#define GIANT_RESERVED ((1UL << 30) - (1UL << 13))
#define EFER_NXE (1UL << 11)
#define LEVEL_SHIFT 12

enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_RESERVED = 8, FAULT_FETCH = 16, NO_FAULT = -1 };

struct slot {
    u64 read_page, write_page, addend, flags;
};

struct upper {
    u64 prefix, table, rights, unused;
};

struct cpu {
    struct slot tlb[TLB_SLOTS];
    struct upper upper[UPPER_SLOTS * 3];
    u64 cr3, efer, reserved, frame_mask, supervisor_write, large_start, large_end;
    u64 ram_low_end, ram_high_end, host_ram, host_absent, host_drain, nr_walks;
};

struct found {
    i64 pa;
    u64 flags;
};

__attribute__((noreturn, cold, noinline)) static void fault(void) {
    __builtin_trap();
}

static inline bool is_memory(struct cpu *cpu, u64 pa) {
    if (pa < 0x100000)
        return pa < 0xA0000 || (pa >= 0xB8000 && pa < 0xC0000);
    return pa < cpu->ram_low_end || (pa >= 1UL << 32 && pa < cpu->ram_high_end);
}

static inline u64 host_to_read(struct cpu *cpu, u64 pa) {
    return is_memory(cpu, pa) ? cpu->host_ram + pa : cpu->host_absent + (pa & OFFSET_MASK);
}

static inline u64 host_to_write(struct cpu *cpu, u64 pa) {
    return is_memory(cpu, pa) ? cpu->host_ram + pa : cpu->host_drain + (pa & OFFSET_MASK);
}

static inline int shift_of(int level) {
    return PAGE_SHIFT + LEVEL_BITS * (level - 1);
}

static inline bool is_leaf(u64 entry, int level) {
    return level == 1 || (entry & LEAF);
}

static u64 needed_rights(struct cpu *cpu, u64 access) {
    u64 needed = 0;
    if (access & FAULT_USER)
        needed = access & FAULT_WRITE ? USER | WRITABLE : USER;
    else if (access & FAULT_WRITE)
        needed = cpu->supervisor_write;
    return access & FAULT_FETCH ? needed | NX : needed;
}

static inline bool has_reserved_bits(struct cpu *cpu, u64 entry, int level) {
    u64 reserved = cpu->reserved;
    if ((entry & LEAF) && level > 1)
        reserved |= level == ROOT_LEVEL ? LEAF : level == 2 ? HUGE_RESERVED : GIANT_RESERVED;
    return entry & reserved;
}

static inline i64 fault_at(struct cpu *cpu, u64 entry, int level, u64 access, u64 rights) {
    i64 cause = NO_FAULT;
    if (!(entry & PRESENT))
        cause = 0;
    else if (has_reserved_bits(cpu, entry, level))
        cause = FAULT_PRESENT | FAULT_RESERVED;
    else if (is_leaf(entry, level) && (needed_rights(cpu, access) & ~rights))
        cause = FAULT_PRESENT;
    if (cause == NO_FAULT)
        return NO_FAULT;
    return (cpu->efer & EFER_NXE ? access : access & ~FAULT_FETCH) | cause;
}

static inline struct upper *upper_slot(struct cpu *cpu, u64 va, int level) {
    return &cpu->upper[(level - 2) * UPPER_SLOTS + (va >> shift_of(level) & (UPPER_SLOTS - 1))];
}

/* A table that was used before: no fault, nothing to mark. */
static inline bool is_usual_table(struct cpu *cpu, u64 entry) {
    return (entry & (PRESENT | ACCESSED | LEAF | cpu->reserved)) == (PRESENT | ACCESSED);
}

static inline struct found found_at(struct cpu *cpu, u64 entry, int level, u64 va, u64 rights) {
    u64 inside = (1UL << shift_of(level)) - 1;
    u64 flags = rights | (entry & (GLOBAL | DIRTY)) | (u64)level << LEVEL_SHIFT;
    return (struct found){(entry & cpu->frame_mask & ~inside) | (va & inside), flags};
}

static struct found walk_from(struct cpu *cpu, u64 va, u64 access, int level, u64 table, u64 rights) {
    for (;;) {
        u64 at = table + (va >> shift_of(level) & 511) * 8;
        u64 entry = *(u64 *)host_to_read(cpu, at);
        rights &= entry ^ NX;
        if (level == 1 || !is_usual_table(cpu, entry)) {
            i64 error = fault_at(cpu, entry, level, access, rights);
            if (error != NO_FAULT)
                return (struct found){~error, 0};
            u64 used = entry | ACCESSED;
            if (is_leaf(entry, level) && (access & FAULT_WRITE))
                used |= DIRTY;
            if (used != entry)
                *(u64 *)host_to_write(cpu, at) = used;
            if (is_leaf(entry, level))
                return found_at(cpu, used, level, va, rights);
        }
        table = entry & cpu->frame_mask;
        *upper_slot(cpu, va, level) = (struct upper){va >> shift_of(level), table, rights, 0};
        level--;
    }
}

static struct found walk(struct cpu *cpu, u64 va, u64 access) {
    cpu->nr_walks++;
    for (int level = 2; level <= ROOT_LEVEL; level++) {
        struct upper *upper = upper_slot(cpu, va, level);
        if (upper->prefix == va >> shift_of(level)) {
            struct found found = walk_from(cpu, va, access, level - 1, upper->table, upper->rights);
            if (found.pa >= 0)
                return found;
            break;
        }
    }
    return walk_from(cpu, va, access, ROOT_LEVEL, cpu->cr3 & cpu->frame_mask, NX | USER | WRITABLE);
}

static inline struct slot *slot_of(struct cpu *cpu, u64 va) {
    return &cpu->tlb[va >> PAGE_SHIFT & (TLB_SLOTS - 1)];
}

static void widen_large(struct cpu *cpu, u64 va, int level) {
    u64 start = va & -(1UL << shift_of(level)), end = start + (1UL << shift_of(level));
    if (cpu->large_start == cpu->large_end)
        cpu->large_start = start, cpu->large_end = end;
    if (start < cpu->large_start)
        cpu->large_start = start;
    if (end > cpu->large_end)
        cpu->large_end = end;
}

static void remember(struct cpu *cpu, u64 va, u64 pa, u64 found) {
    struct slot *slot = slot_of(cpu, va);
    u64 page = va & PAGE_MASK;
    bool is_writable = !(cpu->supervisor_write & ~found) && (found & DIRTY);
    slot->read_page = page;
    slot->write_page = is_writable && is_memory(cpu, pa) ? page : NO_PAGE;
    slot->addend = host_to_read(cpu, pa) - va;
    slot->flags = found;
    if ((found >> LEVEL_SHIFT & 7) != 1)
        widen_large(cpu, va, found >> LEVEL_SHIFT & 7);
}

static inline bool is_canonical(u64 va) {
    i64 top = (i64)va >> 47;
    return top == 0 || top == -1;
}

/* The usual walk: the table of level 1 is remembered, and its entry is accessed already. */
static inline struct found walk_last(struct cpu *cpu, u64 va) {
    struct upper *upper = upper_slot(cpu, va, 2);
    if (upper->prefix == va >> shift_of(2)) {
        u64 entry = *(u64 *)host_to_read(cpu, upper->table + (va >> PAGE_SHIFT & 511) * 8);
        if ((entry & (PRESENT | ACCESSED | cpu->reserved)) == (PRESENT | ACCESSED)) {
            cpu->nr_walks++;
            return found_at(cpu, entry, 1, va, upper->rights & (entry ^ NX));
        }
    }
    return (struct found){-1, 0};
}

static inline void refill(struct cpu *cpu, u64 va, u64 nbytes, u64 access) {
    struct found found = walk_last(cpu, va);
    if (found.pa < 0 && (va & OFFSET_MASK) <= PAGE_BYTES - nbytes && is_canonical(va))
        found = walk(cpu, va, access);
    if (found.pa >= 0)
        remember(cpu, va, found.pa, found.flags);
}

static __attribute__((noinline)) u64 slow_load(struct cpu *cpu, u64 va) {
    refill(cpu, va, 8, 0);
    struct slot *slot = slot_of(cpu, va);
    if (slot->read_page != ((va + 7) & PAGE_MASK))
        fault(); /* or it lies on two pages: not in these loops */
    return *(u64 *)(va + slot->addend);
}

static __attribute__((noinline)) void slow_store(struct cpu *cpu, u64 va, u64 value) {
    refill(cpu, va, 8, FAULT_WRITE);
    struct slot *slot = slot_of(cpu, va);
    if (slot->write_page != ((va + 7) & PAGE_MASK))
        fault();
    *(u64 *)(va + slot->addend) = value;
}

static inline u64 load64(struct cpu *cpu, u64 va) {
    struct slot *slot = slot_of(cpu, va);
    if (slot->read_page == ((va + 7) & PAGE_MASK))
        return *(u64 *)(va + slot->addend);
    return slow_load(cpu, va);
}

static inline void store64(struct cpu *cpu, u64 va, u64 value) {
    struct slot *slot = slot_of(cpu, va);
    if (slot->write_page == ((va + 7) & PAGE_MASK))
        *(u64 *)(va + slot->addend) = value;
    else
        slow_store(cpu, va, value);
}

/* ------------------------------------------------------------------ the computer of bench/drivers/accesses.py */
static void put_entry(u64 table, u64 index, u64 pa) {
    *(u64 *)(RAM + ROOT + table * PAGE_BYTES + index * 8) = pa | PRESENT | WRITABLE | ACCESSED | DIRTY;
}

i64 twin_computer_setup(struct cpu *cpu, u64 unused, i64 n) {
    (void)unused, (void)n;
    *cpu = (struct cpu){
        .cr3 = ROOT,
        .efer = EFER_NXE,
        .frame_mask = FRAME & ((1UL << 46) - 1),
        .supervisor_write = WRITABLE,
        .ram_low_end = RAM_BYTES,
        .ram_high_end = 1UL << 32,
        .host_ram = RAM,
        .host_absent = ABSENT,
        .host_drain = ABSENT + PAGE_BYTES,
    };
    cpu->reserved = FRAME & ~cpu->frame_mask;
    for (int index = 0; index < TLB_SLOTS; index++)
        cpu->tlb[index].read_page = cpu->tlb[index].write_page = NO_PAGE;
    for (int index = 0; index < UPPER_SLOTS * 3; index++)
        cpu->upper[index].prefix = NO_PREFIX;
    put_entry(0, 0, ROOT + PAGE_BYTES);
    put_entry(0, FAR >> 39, ROOT + PAGE_BYTES);
    put_entry(1, 0, ROOT + 2 * PAGE_BYTES);
    for (int index = 0; index < 8; index++) {
        put_entry(2, index, ROOT + (3 + index) * PAGE_BYTES);
        for (int entry = 0; entry < 512; entry++)
            put_entry(3 + index, entry, (index * 512 + entry) * PAGE_BYTES);
    }
    return cpu->frame_mask;
}

#define WINDOW 128
#define STRIDE (PAGE_BYTES + 64)

i64 twin_loads_hit(struct cpu *cpu, u64 first, i64 n) {
    u64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += load64(cpu, first + (index & (WINDOW - 1)) * STRIDE);
    return total;
}

i64 twin_stores_hit(struct cpu *cpu, u64 first, i64 n) {
    for (i64 index = 0; index < n; index++)
        store64(cpu, first + (index & (WINDOW - 1)) * STRIDE, index);
    return n;
}

i64 twin_chain_setup(struct cpu *cpu, u64 first, i64 n) {
    for (i64 index = 0; index < WINDOW; index++)
        store64(cpu, first + index * STRIDE, first + ((index + 1) & (WINDOW - 1)) * STRIDE);
    return n;
}

i64 twin_loads_chained(struct cpu *cpu, u64 first, i64 n) {
    u64 at = first;
    for (i64 index = 0; index < n; index++)
        at = load64(cpu, at);
    return at;
}

i64 twin_loads_walk(struct cpu *cpu, u64 first, i64 n) {
    u64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += load64(cpu, first + (index & 7) * TLB_SLOTS * PAGE_BYTES);
    return total;
}

i64 twin_loads_walk_all(struct cpu *cpu, u64 first, i64 n) {
    u64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += load64(cpu, first + (index & 1) * FAR);
    return total;
}
