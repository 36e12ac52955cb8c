/* A kernel that starts the memory manager, tests it and ends the machine. It prints what the seed's kernel printed.
 *
 * Each SUCCESS stands for the checks in the function above it; the first one that fails puts its reason on the line.
 */
#include "console.h"

enum { BLOCK_BYTES = 100, PAGE_BYTES = 4096 };

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];

static bool holds(bool is_so, const char *reason)
{
    if (!is_so) {
        put("FAILED (");
        put(reason);
        put(")\n");
    }
    return is_so;
}

/* ---- the heap */

/* With hardening full, a second kfree ends the machine. */
static bool is_hardened(void)
{
    return INCRO_MM_HARDENING == 2;
}

static bool is_on_own_frame(const void *va)
{
    int64_t pa = vmm_get_physical((uint64_t)(uintptr_t)va);
    return pa >= 0 && pmm_is_page((uint64_t)pa);
}

static bool has_pattern(const uint8_t *block)
{
    for (int at = 0; at < BLOCK_BYTES; at++)
        if (block[at] != 0xFF - at)
            return false;
    return true;
}

/* The block lies in the heap, on frames that are its own, and keeps what is written while a second one is in use. */
static bool is_block_right(uint8_t *block)
{
    if (!(holds(block != NULL, "no memory") && holds((uintptr_t)block % 16 == 0, "misaligned") &&
          holds(heap_owns(block) && heap_owns(block + BLOCK_BYTES - 1), "outside the heap") &&
          holds(is_on_own_frame(block) && is_on_own_frame(block + BLOCK_BYTES - 1), "on a foreign frame")))
        return false;
    for (int at = 0; at < BLOCK_BYTES; at++)
        block[at] = (uint8_t)(0xFF - at);
    uint8_t *other = kmalloc(BLOCK_BYTES);
    if (!holds(other != NULL, "no memory for a second block"))
        return false;
    for (int at = 0; at < BLOCK_BYTES; at++)
        other[at] = 0x3C;
    return holds(other >= block + BLOCK_BYTES || block >= other + BLOCK_BYTES, "two blocks overlap") &&
           holds(has_pattern(block), "the block lost what was written to it") &&
           holds(kfree(other) == INCRO_OK, "the second block was not taken back") &&
           holds(has_pattern(block), "kfree of another block wrote to this one") &&
           holds(heap_check() == INCRO_OK, "the heap is broken");
}

static bool is_kfree_right(uint8_t *block, int64_t used_before)
{
    return holds(kfree(block) == INCRO_OK, "refused") &&
           holds(heap_used_bytes() == used_before, "used bytes differ from before") &&
           holds(is_hardened() || kfree(block) == INCRO_BAD_FREE, "a second time accepted") &&
           holds(heap_used_bytes() == used_before, "the second time was counted") &&
           holds(heap_check() == INCRO_OK, "the heap is broken");
}

static bool is_heap_right(void)
{
    int64_t used_before = heap_used_bytes();
    put("kmalloc(100): ");
    uint8_t *block = kmalloc(BLOCK_BYTES);
    if (!is_block_right(block))
        return false;
    put("SUCCESS\nkfree: ");
    if (!is_kfree_right(block, used_before))
        return false;
    put("SUCCESS\n");
    return true;
}

/* ---- frames */

static bool is_zero(const uint64_t *words)
{
    for (int at = 0; at < PAGE_BYTES / 8; at++)
        if (words[at] != 0)
            return false;
    return true;
}

static bool keeps_words(volatile uint64_t *words)
{
    for (int at = 0; at < PAGE_BYTES / 8; at++)
        words[at] = (uint64_t)(uintptr_t)&words[at];
    for (int at = 0; at < PAGE_BYTES / 8; at++)
        if (words[at] != (uint64_t)(uintptr_t)&words[at])
            return false;
    return true;
}

static bool is_frame_right(int64_t frame, int64_t free_before)
{
    return holds(frame >= 0, "no frame") && holds(frame % PAGE_BYTES == 0, "misaligned") &&
           holds(pmm_is_managed((uint64_t)frame), "outside the zone") &&
           holds(pmm_nr_free_frames() == free_before - 1, "not counted") &&
           holds(is_zero(pmm_address_of((uint64_t)frame)), "not zero") &&
           holds(keeps_words(pmm_address_of((uint64_t)frame)), "not writable") &&
           holds(heap_check() == INCRO_OK, "a frame of the heap");
}

static bool is_free_page_right(uint64_t frame, int64_t free_before)
{
    return holds(pmm_free_page(frame) == INCRO_OK, "refused") &&
           holds(pmm_nr_free_frames() == free_before, "free frames differ from before") &&
           holds(pmm_free_page(frame) == INCRO_DOUBLE_FREE, "a second time accepted") &&
           holds(pmm_nr_free_frames() == free_before, "the second time was counted") &&
           holds(pmm_check() == INCRO_OK, "the frames are in disorder") &&
           holds(vmm_check() == INCRO_OK, "the page tables are in disorder");
}

static bool is_pmm_right(void)
{
    int64_t free_before = pmm_nr_free_frames();
    put("pmm_alloc_page: ");
    int64_t frame = pmm_alloc_page();
    if (!is_frame_right(frame, free_before))
        return false;
    put("SUCCESS (addr: 0x");
    put_hex((uint64_t)frame);
    put(")\npmm_free_page: ");
    if (!is_free_page_right((uint64_t)frame, free_before))
        return false;
    put("SUCCESS\n");
    return true;
}

/* ---- what only config modern has */

#if INCRO_MM_MODERN
enum { RANGE_BYTES = 3 << 20 };

/* A range of pages in a row, in the upper half, each page on a frame that is its own and may be written. */
static bool is_range_right(uint8_t *range)
{
    if (!holds(range != NULL, "no memory") || !holds((int64_t)(uintptr_t)range < 0, "in the lower half"))
        return false;
    for (size_t at = 0; at < RANGE_BYTES; at += PAGE_BYTES)
        range[at] = (uint8_t)(at / PAGE_BYTES);
    for (size_t at = 0; at < RANGE_BYTES; at += PAGE_BYTES)
        if (!holds(range[at] == (uint8_t)(at / PAGE_BYTES), "two pages are one"))
            return false;
    return holds(vfree(range) == INCRO_OK, "not taken back") &&
           holds(vfree(range) == INCRO_BAD_FREE, "a second time accepted") &&
           holds(vmm_get_physical((uint64_t)(uintptr_t)range) == INCRO_NOT_MAPPED, "mapped still") &&
           holds(vmm_check() == INCRO_OK, "the page tables are in disorder");
}

static bool is_vmalloc_right(void)
{
    int64_t free_before = pmm_nr_free_frames();
    put("vmalloc(3 MiB): ");
    if (!is_range_right(vmalloc(RANGE_BYTES)) || !holds(pmm_nr_free_frames() == free_before, "frames are lost"))
        return false;
    put("SUCCESS\n");
    return true;
}
#else
static bool is_vmalloc_right(void)
{
    return true;
}
#endif

/* ---- the boot */

static void require(int64_t code, const char *step)
{
    if (code != INCRO_OK) {
        put(step);
        put(": code ");
        put_decimal(code);
        put("\n");
        end(FAILED);
    }
}

static void put_count(const char *name, int64_t count)
{
    put(name);
    put_decimal(count);
    put("\n");
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.write = write_hook;
    start.hooks.panic = panic_hook;

    put("Hello, 64-bit kernel World!\n");
    put("Initializing memory manager...\n");
    require(pmm_init(&state, &start), "pmm_init");
    put("PMM initialized\n");
    require(vmm_init(), "vmm_init");
    put("VMM initialized\n");
    require(heap_init(), "heap_init");
    put("Heap initialized\n");
    put_count("Total pages: ", pmm_nr_total_frames());
    put_count("Free pages: ", pmm_nr_free_frames());
    put("\nTesting memory allocation...\n");
    if (!is_heap_right() || !is_pmm_right() || !is_vmalloc_right())
        end(FAILED);
    put("\nMemory manager operational!\n");
    end(PASSED);
}
