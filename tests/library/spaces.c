/* What becomes of the kernel's own mappings, tables and registers when the library makes page tables.
 *
 * In config modern the kernel sees physical memory at WINDOW, too, and tells the library so.
 */
#include "console.h"

enum { PAGE_BYTES = 4096, MIB = 1 << 20 };

#define WINDOW UINT64_C(0x400000000000)
#define RECURSIVE 511
#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static uint64_t upper[512] __attribute__((aligned(4096)));
static uint64_t lower[512] __attribute__((aligned(4096)));

static uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static bool is_present(const uint64_t *table, int index)
{
    return (table[index] & VMM_PRESENT) != 0;
}

static uint64_t *table_in(const uint64_t *table, int index)
{
    return (uint64_t *)pmm_address_of(table[index] & ADDRESS);
}

/* The leaf for va in the library's tables, read through the window on frames; 0: there is none. */
static uint64_t leaf_of(uint64_t va)
{
    const uint64_t *table = (const uint64_t *)pmm_address_of(read_cr3() & ADDRESS);
    for (int shift = 39; shift >= 12; shift -= 9) {
        int index = (int)(va >> shift & 511);
        if (!is_present(table, index))
            return 0;
        if (shift == 12 || (shift < 39 && (table[index] & 0x80) != 0))
            return table[index];
        table = table_in(table, index);
    }
    return 0;
}

static uint64_t sum_of(const uint64_t *table)
{
    uint64_t sum = 0;
    for (int index = 0; index < 512; index++)
        sum = sum * 31 + (table[index] & ~(uint64_t)(VMM_ACCESSED | VMM_DIRTY));
    return sum;
}

static bool is_the_same(uint64_t va, uint64_t before)
{
    uint64_t seen = VMM_ACCESSED | VMM_DIRTY;
    return (leaf_of(va) | seen) == (before | seen);
}

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;

    uint64_t *root = (uint64_t *)(uintptr_t)(read_cr3() & ADDRESS);
    uint64_t *level3 = (uint64_t *)(uintptr_t)(root[0] & ADDRESS);
    uint64_t *level2 = (uint64_t *)(uintptr_t)(level3[0] & ADDRESS);
    uint64_t *level1 = (uint64_t *)(uintptr_t)(level2[0] & ADDRESS);
    uint64_t text = level1[0x100000 / PAGE_BYTES], data = level1[(uintptr_t)&state / PAGE_BYTES];

    /* At WINDOW, the first 2 MiB again; 1 GiB further, a large page of a device whose upper entry grants no writing. */
    root[WINDOW >> 39 & 511] = (uint64_t)(uintptr_t)upper | VMM_PRESENT | VMM_WRITABLE;
    upper[0] = level3[0];
    upper[1] = (uint64_t)(uintptr_t)lower | VMM_PRESENT;
    lower[3] = 0xFEC00000 | 0x80 | VMM_PRESENT | VMM_WRITABLE | VMM_CACHE_DISABLE | VMM_NX | VMM_USER;
    root[RECURSIVE] = (uint64_t)(uintptr_t)root | VMM_PRESENT | VMM_WRITABLE;
    uint64_t device = WINDOW + ((uint64_t)1 << 30) + 3 * 2 * MIB;
    uint64_t sum = sum_of(root) + sum_of(level3) + sum_of(level2) + sum_of(level1) + sum_of(upper) + sum_of(lower);

    if (INCRO_MM_MODERN)
        start.window = WINDOW;
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    say("another root", (read_cr3() & ADDRESS) != (uint64_t)(uintptr_t)root);
    say("the old tables as they were", sum == sum_of(root) + sum_of(level3) + sum_of(level2) + sum_of(level1) +
                                                  sum_of(upper) + sum_of(lower));
    say("text", is_the_same(0x100000, text));
    say("data", is_the_same((uint64_t)(uintptr_t)&state, data));
    say("window", is_the_same(WINDOW + 0x100000, text) &&
                      *(volatile uint64_t *)(uintptr_t)(WINDOW + (uint64_t)(uintptr_t)&lower[3]) == lower[3]);
    say("device, without the rights that were not granted",
        is_the_same(device, lower[3] & ~(uint64_t)(VMM_WRITABLE | VMM_USER)));
    say("no recursive entry", leaf_of(UINT64_C(0xFFFFFFFFFFFFF000)) == 0);
    say("checks", (heap_check() | pmm_check() | vmm_check()) == INCRO_OK);

    /* Pages among the kernel's own, and in addresses of which nothing is mapped. */
    int64_t frame = pmm_alloc_page();
    uint64_t flags = VMM_PRESENT | VMM_WRITABLE | VMM_NX;
    say("mapped already", vmm_map_page(0x100000, (uint64_t)frame, flags) == INCRO_ALREADY_MAPPED);
    say("map beside the device", vmm_map_page(device + 2 * MIB, (uint64_t)frame, flags) == INCRO_OK);
    *(volatile uint64_t *)(uintptr_t)(device + 2 * MIB + 8) = 42;
    say("the frame has what was written", ((uint64_t *)pmm_address_of((uint64_t)frame))[1] == 42);
    say("unmap", vmm_unmap_page(device + 2 * MIB) == frame && vmm_get_physical(device + 2 * MIB) == INCRO_NOT_MAPPED);
    say("free", pmm_free_page((uint64_t)frame) == INCRO_OK);
    say("checks", (heap_check() | pmm_check() | vmm_check()) == INCRO_OK);
    end(PASSED);
}
