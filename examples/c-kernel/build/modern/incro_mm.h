/* incro_mm.h: memory manager of IncroOS, config modern. Made by `incroos build --format library`; do not edit.
 *
 * Frames, page tables and a heap for an x86-64 kernel on one processor. Link libincro_mm.a into a kernel, give it a
 * struct incro_kernel and a struct incro_start, and call incro_mm_init, or its three steps. The guide to it is
 * docs/c-library.md of IncroOS.
 *
 * Sizes, counts and physical addresses are never negative: a negative result is one of the codes INCRO_..., and a call
 * that answers with one has changed nothing. Pointers are 0 instead. Before the start, functions answer
 * INCRO_NOT_STARTED, 0 or false. A size_t of 2**63 and more is refused as too much. No function may be called while
 * another one runs, as from an interrupt, unless the hooks lock and unlock see to that; nor from a hook, but for panics.
 *
 * Of the caller's stack a call takes at most INCRO_MM_STACK_BYTES, and what the hooks take.
 *
 * This build checks its arithmetic: the instruction ud2 with a number in rdi means that the line of Python which
 * incro_mm.sites has under this number, counting from 0, went wrong.
 */
#ifndef INCRO_MM_H
#define INCRO_MM_H

#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

#ifdef __cplusplus
#define INCRO_ASSERT(name, condition) static_assert(condition, #name)
extern "C" {
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define INCRO_ASSERT(name, condition) _Static_assert(condition, #name)
#else
#define INCRO_ASSERT(name, condition) typedef char incro_assert_##name[(condition) ? 1 : -1]
#endif

/* This build */
#define INCRO_MM_CLASSIC 0
#define INCRO_MM_MODERN 1
#define INCRO_MM_CHECKED 1
#define INCRO_MM_STACK_BYTES 1080  /* of the stack, that a call takes at most, hooks left out */

/* Codes */
#define INCRO_OK 0
#define INCRO_NO_FRAME (-1)
#define INCRO_MISALIGNED (-2)
#define INCRO_FOREIGN (-3)
#define INCRO_RESERVED (-4)
#define INCRO_DOUBLE_FREE (-5)
#define INCRO_NOT_CANONICAL (-6)
#define INCRO_OUT_OF_RANGE (-7)
#define INCRO_BAD_FLAGS (-8)
#define INCRO_ALREADY_MAPPED (-9)
#define INCRO_NOT_MAPPED (-10)
#define INCRO_ENTRY_IN_USE (-11)
#define INCRO_LARGE_PAGE (-12)
#define INCRO_SMALL_PAGE (-13)
#define INCRO_BAD_LEVEL (-14)
#define INCRO_BAD_FREE (-15)
#define INCRO_NO_ADDRESSES (-16)
#define INCRO_WRONG_BLOCK (-17)
#define INCRO_SHARED (-18)
#define INCRO_BAD_ORDER (-19)
#define INCRO_NOT_FREE (-20)
#define INCRO_NOT_STARTED (-21)
#define INCRO_ALREADY_STARTED (-22)
#define INCRO_BAD_START (-23)

/* Flags of a page */
#define VMM_PRESENT 1
#define VMM_WRITABLE 2
#define VMM_USER 4
#define VMM_WRITE_THROUGH 8
#define VMM_CACHE_DISABLE 16
#define VMM_ACCESSED 32
#define VMM_DIRTY 64
#define VMM_PAT 128
#define VMM_GLOBAL 256
#define VMM_NX UINT64_C(0x8000000000000000)

/* Numbers of regions, those of E820 and PVH: any other than RAM is left alone */
#define INCRO_REGION_RAM 1
#define INCRO_REGION_RESERVED 2

/* Addresses that the library uses, [start, end) */
#define INCRO_POOL_START UINT64_C(0x10000)
#define INCRO_POOL_END UINT64_C(0x100000)
#define INCRO_SPACE_START UINT64_C(0xffff800000000000)
#define INCRO_SPACE_END UINT64_C(0xfffff00000000000)

/* Xen: struct hvm_memmap_table_entry. What the numbers mean says pmm/memory_kinds.py. */
struct incro_start_info_entry {
    uint64_t start;
    uint64_t nbytes;
    uint32_t number;
    uint32_t reserved;
};
INCRO_ASSERT(incro_start_info_entry_size, sizeof(struct incro_start_info_entry) == 24);
INCRO_ASSERT(incro_start_info_entry_start, offsetof(struct incro_start_info_entry, start) == 0);
INCRO_ASSERT(incro_start_info_entry_nbytes, offsetof(struct incro_start_info_entry, nbytes) == 8);
INCRO_ASSERT(incro_start_info_entry_number, offsetof(struct incro_start_info_entry, number) == 16);
INCRO_ASSERT(incro_start_info_entry_reserved, offsetof(struct incro_start_info_entry, reserved) == 20);

/* What a panic says: where in the kernel and about what, and three words. Owner: hooks. */
struct incro_panic_report {
    const char *text;  /* ends with a 0 */
    uint64_t nbytes;  /* of it, without the 0 */
    uint64_t a;
    uint64_t b;
    uint64_t c;
};
INCRO_ASSERT(incro_panic_report_size, sizeof(struct incro_panic_report) == 40);
INCRO_ASSERT(incro_panic_report_text, offsetof(struct incro_panic_report, text) == 0);
INCRO_ASSERT(incro_panic_report_nbytes, offsetof(struct incro_panic_report, nbytes) == 8);
INCRO_ASSERT(incro_panic_report_a, offsetof(struct incro_panic_report, a) == 16);
INCRO_ASSERT(incro_panic_report_b, offsetof(struct incro_panic_report, b) == 24);
INCRO_ASSERT(incro_panic_report_c, offsetof(struct incro_panic_report, c) == 32);

/* Functions in C of whoever the kernel's code is a part of; 0 where there is none. Owner: hooks. */
struct incro_hooks {
    void *context;  /* handed to each of them first, to nobody's use but theirs */
    void (*write)(void *context, const char *text, size_t nbytes);  /* text, its bytes */
    void (*panic)(void *context, const struct incro_panic_report *report);  /* a PanicReport; does not return */
    uint64_t (*lock)(void *context);  /* before each call that changes or reads the Kernel struct; what it returns is handed to */
    void (*unlock)(void *context, uint64_t state);  /* after the call */
};
INCRO_ASSERT(incro_hooks_size, sizeof(struct incro_hooks) == 40);
INCRO_ASSERT(incro_hooks_context, offsetof(struct incro_hooks, context) == 0);
INCRO_ASSERT(incro_hooks_write, offsetof(struct incro_hooks, write) == 8);
INCRO_ASSERT(incro_hooks_panic, offsetof(struct incro_hooks, panic) == 16);
INCRO_ASSERT(incro_hooks_lock, offsetof(struct incro_hooks, lock) == 24);
INCRO_ASSERT(incro_hooks_unlock, offsetof(struct incro_hooks, unlock) == 32);

/* What a kernel tells the library. It may forget it afterwards. */
struct incro_start {
    const struct incro_start_info_entry *regions;  /* the memory map, in any order; where regions overlap, RAM is what every one of them calls RAM */
    uint64_t nr_regions;
    uint64_t window;  /* where the kernel sees physical address 0; 0 in config classic */
    struct incro_hooks hooks;  /* write, lock and unlock may be 0 */
};
INCRO_ASSERT(incro_start_size, sizeof(struct incro_start) == 64);
INCRO_ASSERT(incro_start_regions, offsetof(struct incro_start, regions) == 0);
INCRO_ASSERT(incro_start_nr_regions, offsetof(struct incro_start, nr_regions) == 8);
INCRO_ASSERT(incro_start_window, offsetof(struct incro_start, window) == 16);
INCRO_ASSERT(incro_start_hooks, offsetof(struct incro_start, hooks) == 24);

/* Owner: console. */
struct incro_console_state {
    uint32_t row;  /* of the cursor on the screen */
    uint32_t column;
    uint64_t nr_panics;  /* panics so far; the second one ends the machine without a word */
};
INCRO_ASSERT(incro_console_state_size, sizeof(struct incro_console_state) == 16);
INCRO_ASSERT(incro_console_state_row, offsetof(struct incro_console_state, row) == 0);
INCRO_ASSERT(incro_console_state_column, offsetof(struct incro_console_state, column) == 4);
INCRO_ASSERT(incro_console_state_nr_panics, offsetof(struct incro_console_state, nr_panics) == 8);

/* Where config.embedded is set. Owner: hooks, and library for the stage. */
struct incro_hook_state {
    uint64_t stage;  /* how far the start has come */
    uint64_t window;  /* where the kernel saw physical address 0 at the start */
    struct incro_hooks hooks;
    struct incro_panic_report report;
    uint64_t nr_waiting;  /* characters in `text` that were not handed to the hook yet */
    uint8_t text[160];
};
INCRO_ASSERT(incro_hook_state_size, sizeof(struct incro_hook_state) == 264);
INCRO_ASSERT(incro_hook_state_stage, offsetof(struct incro_hook_state, stage) == 0);
INCRO_ASSERT(incro_hook_state_window, offsetof(struct incro_hook_state, window) == 8);
INCRO_ASSERT(incro_hook_state_hooks, offsetof(struct incro_hook_state, hooks) == 16);
INCRO_ASSERT(incro_hook_state_report, offsetof(struct incro_hook_state, report) == 56);
INCRO_ASSERT(incro_hook_state_nr_waiting, offsetof(struct incro_hook_state, nr_waiting) == 96);
INCRO_ASSERT(incro_hook_state_text, offsetof(struct incro_hook_state, text) == 104);

/* A framebuffer with text on it, four bytes a pixel. Owner: screen. */
struct incro_screen_state {
    uint64_t framebuffer;  /* 0: there is none, and the other fields mean nothing */
    uint64_t nbytes;  /* from the first pixel to the end of the last row */
    uint32_t width;  /* pixels of a row that are seen */
    uint32_t height;  /* rows */
    uint32_t pitch;  /* pixels from one row to the next */
    uint32_t scale;  /* a letter's dot is so many pixels wide and high */
    uint64_t is_drawing;
    uint8_t cells[2000];  /* the characters that are seen */
};
INCRO_ASSERT(incro_screen_state_size, sizeof(struct incro_screen_state) == 2040);
INCRO_ASSERT(incro_screen_state_framebuffer, offsetof(struct incro_screen_state, framebuffer) == 0);
INCRO_ASSERT(incro_screen_state_nbytes, offsetof(struct incro_screen_state, nbytes) == 8);
INCRO_ASSERT(incro_screen_state_width, offsetof(struct incro_screen_state, width) == 16);
INCRO_ASSERT(incro_screen_state_height, offsetof(struct incro_screen_state, height) == 20);
INCRO_ASSERT(incro_screen_state_pitch, offsetof(struct incro_screen_state, pitch) == 24);
INCRO_ASSERT(incro_screen_state_scale, offsetof(struct incro_screen_state, scale) == 28);
INCRO_ASSERT(incro_screen_state_is_drawing, offsetof(struct incro_screen_state, is_drawing) == 32);
INCRO_ASSERT(incro_screen_state_cells, offsetof(struct incro_screen_state, cells) == 40);

/* [start, end), whole frames of one kind. */
struct incro_region {
    uint64_t start;
    uint64_t end;
    uint64_t kind;
};
INCRO_ASSERT(incro_region_size, sizeof(struct incro_region) == 24);
INCRO_ASSERT(incro_region_start, offsetof(struct incro_region, start) == 0);
INCRO_ASSERT(incro_region_end, offsetof(struct incro_region, end) == 8);
INCRO_ASSERT(incro_region_kind, offsetof(struct incro_region, kind) == 16);

/* What the address space holds: regions of all kinds in rising order. Owner: pmm.memory_map. */
struct incro_memory_map {
    uint64_t nr_regions;
    uint64_t nr_frames[10];  /* by kind, those that no region has included */
    uint64_t nr_left_out[10];  /* in regions for which there was no room */
    struct incro_region regions[256];
};
INCRO_ASSERT(incro_memory_map_size, sizeof(struct incro_memory_map) == 6312);
INCRO_ASSERT(incro_memory_map_nr_regions, offsetof(struct incro_memory_map, nr_regions) == 0);
INCRO_ASSERT(incro_memory_map_nr_frames, offsetof(struct incro_memory_map, nr_frames) == 8);
INCRO_ASSERT(incro_memory_map_nr_left_out, offsetof(struct incro_memory_map, nr_left_out) == 88);
INCRO_ASSERT(incro_memory_map_regions, offsetof(struct incro_memory_map, regions) == 168);

/* Up to 8,192 frames in a row, one bit each. Owner: pmm.bitmap. */
struct incro_frame_bitmap {
    uint64_t start;  /* of the frame of bit 0 */
    uint64_t hint;  /* the word where the search begins */
    uint64_t nr_total_frames;
    uint64_t nr_free_frames;
    uint64_t summary[2];  /* a bit for each word of `free`: is it not 0? */
    uint64_t managed[128];  /* the frame is RAM and may be handed out */
    uint64_t free[128];  /* the frame is nobody's */
};
INCRO_ASSERT(incro_frame_bitmap_size, sizeof(struct incro_frame_bitmap) == 2096);
INCRO_ASSERT(incro_frame_bitmap_start, offsetof(struct incro_frame_bitmap, start) == 0);
INCRO_ASSERT(incro_frame_bitmap_hint, offsetof(struct incro_frame_bitmap, hint) == 8);
INCRO_ASSERT(incro_frame_bitmap_nr_total_frames, offsetof(struct incro_frame_bitmap, nr_total_frames) == 16);
INCRO_ASSERT(incro_frame_bitmap_nr_free_frames, offsetof(struct incro_frame_bitmap, nr_free_frames) == 24);
INCRO_ASSERT(incro_frame_bitmap_summary, offsetof(struct incro_frame_bitmap, summary) == 32);
INCRO_ASSERT(incro_frame_bitmap_managed, offsetof(struct incro_frame_bitmap, managed) == 48);
INCRO_ASSERT(incro_frame_bitmap_free, offsetof(struct incro_frame_bitmap, free) == 1072);

/* What is known of one frame. Owner: pmm for the level, vmm for the rest. */
struct incro_frame_record {
    uint16_t nr_entries;  /* of a table: entries that are not 0, and 1 more if the boot code made it */
    uint8_t level;  /* 1 to 5: the frame is a page table of this level; 0: it is not a table */
    uint8_t nr_references;  /* used inside vmm.check, 0 at all other times */
};
INCRO_ASSERT(incro_frame_record_size, sizeof(struct incro_frame_record) == 4);
INCRO_ASSERT(incro_frame_record_nr_entries, offsetof(struct incro_frame_record, nr_entries) == 0);
INCRO_ASSERT(incro_frame_record_level, offsetof(struct incro_frame_record, level) == 2);
INCRO_ASSERT(incro_frame_record_nr_references, offsetof(struct incro_frame_record, nr_references) == 3);

/* Owner: pmm. */
struct incro_frame_state {
    struct incro_frame_bitmap pool;
    struct incro_frame_bitmap zone;
    uint64_t is_zone_mapped;  /* 1 when frames can be had that are not of the pool */
    uint64_t early_start;  /* all_ram: early memory is [early_end, early_limit), and may grow down to early_start */
    uint64_t early_end;
    uint64_t early_limit;
    uint64_t requests;  /* frames asked for so far; counted where config.fault_injection is set */
    uint64_t refuse_at;  /* the request to be refused, counting from 1; 0 refuses none */
    struct incro_frame_record records[8704];  /* the frame database: by PFN, from address 0 on */
};
INCRO_ASSERT(incro_frame_state_size, sizeof(struct incro_frame_state) == 39056);
INCRO_ASSERT(incro_frame_state_pool, offsetof(struct incro_frame_state, pool) == 0);
INCRO_ASSERT(incro_frame_state_zone, offsetof(struct incro_frame_state, zone) == 2096);
INCRO_ASSERT(incro_frame_state_is_zone_mapped, offsetof(struct incro_frame_state, is_zone_mapped) == 4192);
INCRO_ASSERT(incro_frame_state_early_start, offsetof(struct incro_frame_state, early_start) == 4200);
INCRO_ASSERT(incro_frame_state_early_end, offsetof(struct incro_frame_state, early_end) == 4208);
INCRO_ASSERT(incro_frame_state_early_limit, offsetof(struct incro_frame_state, early_limit) == 4216);
INCRO_ASSERT(incro_frame_state_requests, offsetof(struct incro_frame_state, requests) == 4224);
INCRO_ASSERT(incro_frame_state_refuse_at, offsetof(struct incro_frame_state, refuse_at) == 4232);
INCRO_ASSERT(incro_frame_state_records, offsetof(struct incro_frame_state, records) == 4240);

/* A table of level 1 to which somebody walked. Owner: vmm.tables. */
struct incro_known_table {
    uint64_t start;  /* the first address about which it decides; tables.NOWHERE: there is no such table */
    uint64_t entry;  /* that names it, with no more rights than all entries above it are known to grant */
};
INCRO_ASSERT(incro_known_table_size, sizeof(struct incro_known_table) == 16);
INCRO_ASSERT(incro_known_table_start, offsetof(struct incro_known_table, start) == 0);
INCRO_ASSERT(incro_known_table_entry, offsetof(struct incro_known_table, entry) == 8);

/* Owner: vmm. */
struct incro_page_state {
    uint64_t root;  /* the table of the highest level, CR3 without its flags */
    uint64_t root_level;  /* 4 or 5 */
    uint64_t nr_tables;  /* tables taken from pmm and not given back */
    struct incro_known_table known[8];
};
INCRO_ASSERT(incro_page_state_size, sizeof(struct incro_page_state) == 152);
INCRO_ASSERT(incro_page_state_root, offsetof(struct incro_page_state, root) == 0);
INCRO_ASSERT(incro_page_state_root_level, offsetof(struct incro_page_state, root_level) == 8);
INCRO_ASSERT(incro_page_state_nr_tables, offsetof(struct incro_page_state, nr_tables) == 16);
INCRO_ASSERT(incro_page_state_known, offsetof(struct incro_page_state, known) == 24);

/* Owner: vmm.pcid. */
struct incro_pcid_state {
    uint64_t generation;  /* of the tags that are good, from 1 on */
    uint64_t next;  /* the PCID that is handed out next */
};
INCRO_ASSERT(incro_pcid_state_size, sizeof(struct incro_pcid_state) == 16);
INCRO_ASSERT(incro_pcid_state_generation, offsetof(struct incro_pcid_state, generation) == 0);
INCRO_ASSERT(incro_pcid_state_next, offsetof(struct incro_pcid_state, next) == 8);

/* What the heap keeps in front of a payload, and in the payload while it is nobody's. Owner: heap. */
struct incro_chunk {
    uint64_t header;  /* a tag, the chunk's bytes, flags */
    uint64_t next;  /* the neighbours on the list of free chunks */
    uint64_t previous;
};
INCRO_ASSERT(incro_chunk_size, sizeof(struct incro_chunk) == 24);
INCRO_ASSERT(incro_chunk_header, offsetof(struct incro_chunk, header) == 0);
INCRO_ASSERT(incro_chunk_next, offsetof(struct incro_chunk, next) == 8);
INCRO_ASSERT(incro_chunk_previous, offsetof(struct incro_chunk, previous) == 16);

/* Owner: heap. */
struct incro_heap_state {
    uint64_t top;  /* the end of the last chunk */
    uint64_t committed_end;  /* the addresses below it have frames */
    uint64_t end;  /* the addresses below it are the heap's */
    uint64_t used_bytes;  /* of the chunks that are handed out */
    struct incro_chunk queue;  /* the head of the list of free chunks */
};
INCRO_ASSERT(incro_heap_state_size, sizeof(struct incro_heap_state) == 56);
INCRO_ASSERT(incro_heap_state_top, offsetof(struct incro_heap_state, top) == 0);
INCRO_ASSERT(incro_heap_state_committed_end, offsetof(struct incro_heap_state, committed_end) == 8);
INCRO_ASSERT(incro_heap_state_end, offsetof(struct incro_heap_state, end) == 16);
INCRO_ASSERT(incro_heap_state_used_bytes, offsetof(struct incro_heap_state, used_bytes) == 24);
INCRO_ASSERT(incro_heap_state_queue, offsetof(struct incro_heap_state, queue) == 32);

/* Free chunks by size. Owner: heap.bins. */
struct incro_bin_state {
    uint64_t small_map;  /* a bit for each bin: is it not empty? */
    uint64_t tree_map;
    uint64_t small[64];  /* the first chunk of 16 * index bytes */
    uint64_t trees[32];  /* the root of the trie */
};
INCRO_ASSERT(incro_bin_state_size, sizeof(struct incro_bin_state) == 784);
INCRO_ASSERT(incro_bin_state_small_map, offsetof(struct incro_bin_state, small_map) == 0);
INCRO_ASSERT(incro_bin_state_tree_map, offsetof(struct incro_bin_state, tree_map) == 8);
INCRO_ASSERT(incro_bin_state_small, offsetof(struct incro_bin_state, small) == 16);
INCRO_ASSERT(incro_bin_state_trees, offsetof(struct incro_bin_state, trees) == 528);

/* Owner: heap.dlmalloc. */
struct incro_chunk_state {
    uint64_t start;
    uint64_t top;  /* the end of the last chunk */
    uint64_t committed_end;  /* the addresses below it have frames */
    uint64_t end;
    uint64_t remainder;  /* what was left of the chunk that was split last; 0 when it is gone */
    uint64_t remainder_bytes;
    uint64_t used_bytes;  /* of the chunks that are handed out */
    struct incro_bin_state bins;
};
INCRO_ASSERT(incro_chunk_state_size, sizeof(struct incro_chunk_state) == 840);
INCRO_ASSERT(incro_chunk_state_start, offsetof(struct incro_chunk_state, start) == 0);
INCRO_ASSERT(incro_chunk_state_top, offsetof(struct incro_chunk_state, top) == 8);
INCRO_ASSERT(incro_chunk_state_committed_end, offsetof(struct incro_chunk_state, committed_end) == 16);
INCRO_ASSERT(incro_chunk_state_end, offsetof(struct incro_chunk_state, end) == 24);
INCRO_ASSERT(incro_chunk_state_remainder, offsetof(struct incro_chunk_state, remainder) == 32);
INCRO_ASSERT(incro_chunk_state_remainder_bytes, offsetof(struct incro_chunk_state, remainder_bytes) == 40);
INCRO_ASSERT(incro_chunk_state_used_bytes, offsetof(struct incro_chunk_state, used_bytes) == 48);
INCRO_ASSERT(incro_chunk_state_bins, offsetof(struct incro_chunk_state, bins) == 56);

/* Pages for slabs, and their records. Owner: heap.slab_pages. */
struct incro_slab_area {
    uint64_t records;
    uint64_t records_end;  /* the records below it have frames */
    uint64_t start;
    uint64_t top;  /* the pages below it were a slab's once */
    uint64_t end;
    uint64_t runs[4];  /* the first record of a run of 2**index pages without a slab */
};
INCRO_ASSERT(incro_slab_area_size, sizeof(struct incro_slab_area) == 72);
INCRO_ASSERT(incro_slab_area_records, offsetof(struct incro_slab_area, records) == 0);
INCRO_ASSERT(incro_slab_area_records_end, offsetof(struct incro_slab_area, records_end) == 8);
INCRO_ASSERT(incro_slab_area_start, offsetof(struct incro_slab_area, start) == 16);
INCRO_ASSERT(incro_slab_area_top, offsetof(struct incro_slab_area, top) == 24);
INCRO_ASSERT(incro_slab_area_end, offsetof(struct incro_slab_area, end) == 32);
INCRO_ASSERT(incro_slab_area_runs, offsetof(struct incro_slab_area, runs) == 40);

/* Objects of one size. Owner: heap.slab. */
struct incro_cache {
    uint64_t word;  /* of bits of the current slab, where objects are taken; `nothing` when there is none */
    uint64_t first;  /* the object of its bit 0 */
    uint64_t object_bytes;
    uint64_t reciprocal;  /* 2**32 divided by that, rounded up */
    uint64_t all_free[4];  /* the bits of a slab without used objects */
    uint64_t nothing;  /* 0: a word without free objects */
    uint64_t current;  /* the record of the current slab, or 0 */
    uint64_t partial;  /* the first record on each list */
    uint64_t empty;
    uint64_t nr_objects;  /* in a slab */
    uint64_t nr_pages;  /* of a slab */
    uint64_t nr_slabs;
    uint64_t nr_empty;  /* slabs on the list of empty ones, at most max_empty */
    uint64_t max_empty;
    uint64_t next_colour;  /* how far behind the start of the next slab its objects begin */
    uint64_t last_colour;
    uint64_t colour_bytes;
};
INCRO_ASSERT(incro_cache_size, sizeof(struct incro_cache) == 160);
INCRO_ASSERT(incro_cache_word, offsetof(struct incro_cache, word) == 0);
INCRO_ASSERT(incro_cache_first, offsetof(struct incro_cache, first) == 8);
INCRO_ASSERT(incro_cache_object_bytes, offsetof(struct incro_cache, object_bytes) == 16);
INCRO_ASSERT(incro_cache_reciprocal, offsetof(struct incro_cache, reciprocal) == 24);
INCRO_ASSERT(incro_cache_all_free, offsetof(struct incro_cache, all_free) == 32);
INCRO_ASSERT(incro_cache_nothing, offsetof(struct incro_cache, nothing) == 64);
INCRO_ASSERT(incro_cache_current, offsetof(struct incro_cache, current) == 72);
INCRO_ASSERT(incro_cache_partial, offsetof(struct incro_cache, partial) == 80);
INCRO_ASSERT(incro_cache_empty, offsetof(struct incro_cache, empty) == 88);
INCRO_ASSERT(incro_cache_nr_objects, offsetof(struct incro_cache, nr_objects) == 96);
INCRO_ASSERT(incro_cache_nr_pages, offsetof(struct incro_cache, nr_pages) == 104);
INCRO_ASSERT(incro_cache_nr_slabs, offsetof(struct incro_cache, nr_slabs) == 112);
INCRO_ASSERT(incro_cache_nr_empty, offsetof(struct incro_cache, nr_empty) == 120);
INCRO_ASSERT(incro_cache_max_empty, offsetof(struct incro_cache, max_empty) == 128);
INCRO_ASSERT(incro_cache_next_colour, offsetof(struct incro_cache, next_colour) == 136);
INCRO_ASSERT(incro_cache_last_colour, offsetof(struct incro_cache, last_colour) == 144);
INCRO_ASSERT(incro_cache_colour_bytes, offsetof(struct incro_cache, colour_bytes) == 152);

/* Owner: heap.kmalloc. */
struct incro_slab_state {
    struct incro_slab_area area;
    uint64_t nr_large;  /* requests that vmalloc serves */
    uint64_t large_bytes;
    uint8_t class_of[72];  /* by the size in steps of 16 bytes, rounded up */
    struct incro_cache caches[32];
};
INCRO_ASSERT(incro_slab_state_size, sizeof(struct incro_slab_state) == 5280);
INCRO_ASSERT(incro_slab_state_area, offsetof(struct incro_slab_state, area) == 0);
INCRO_ASSERT(incro_slab_state_nr_large, offsetof(struct incro_slab_state, nr_large) == 72);
INCRO_ASSERT(incro_slab_state_large_bytes, offsetof(struct incro_slab_state, large_bytes) == 80);
INCRO_ASSERT(incro_slab_state_class_of, offsetof(struct incro_slab_state, class_of) == 88);
INCRO_ASSERT(incro_slab_state_caches, offsetof(struct incro_slab_state, caches) == 160);

/* Owner: vmm.vmalloc. */
struct incro_vmalloc_state {
    uint64_t next;  /* where the search for a gap begins */
    uint64_t nr_ranges;
    uint64_t nr_pages;  /* in them, guards not counted */
};
INCRO_ASSERT(incro_vmalloc_state_size, sizeof(struct incro_vmalloc_state) == 24);
INCRO_ASSERT(incro_vmalloc_state_next, offsetof(struct incro_vmalloc_state, next) == 0);
INCRO_ASSERT(incro_vmalloc_state_nr_ranges, offsetof(struct incro_vmalloc_state, nr_ranges) == 8);
INCRO_ASSERT(incro_vmalloc_state_nr_pages, offsetof(struct incro_vmalloc_state, nr_pages) == 16);

/* How often things were done, where config.counters is set. Owner: who does them. */
struct incro_counters {
    uint64_t allocs;  /* frames and tables that were handed out */
    uint64_t frees;
    uint64_t flushes;  /* pages that the TLB was told to forget */
};
INCRO_ASSERT(incro_counters_size, sizeof(struct incro_counters) == 24);
INCRO_ASSERT(incro_counters_allocs, offsetof(struct incro_counters, allocs) == 0);
INCRO_ASSERT(incro_counters_frees, offsetof(struct incro_counters, frees) == 8);
INCRO_ASSERT(incro_counters_flushes, offsetof(struct incro_counters, flushes) == 16);

/* Of one zone, in frames. */
struct incro_zone_statistics {
    uint64_t total;
    uint64_t free;
    uint64_t free_blocks[19];  /* by order; those on hot lists do not count */
};
INCRO_ASSERT(incro_zone_statistics_size, sizeof(struct incro_zone_statistics) == 168);
INCRO_ASSERT(incro_zone_statistics_total, offsetof(struct incro_zone_statistics, total) == 0);
INCRO_ASSERT(incro_zone_statistics_free, offsetof(struct incro_zone_statistics, free) == 8);
INCRO_ASSERT(incro_zone_statistics_free_blocks, offsetof(struct incro_zone_statistics, free_blocks) == 16);

/* Figures about memory, in frames where nothing else is said; as they were when somebody asked. Owner:
 * statistics.
 *
 * ram == books + reserved_low + reserved_books, books == the sum of the zones' totals. What is no RAM is
 * counted by kind in memory_map.nr_frames. */
struct incro_statistics {
    uint64_t nr_collected;  /* how often somebody asked */
    uint64_t ram;
    uint64_t books;  /* frames that blocks are made of */
    uint64_t free;
    uint64_t pages;  /* handed out, and no page tables */
    uint64_t kept;  /* that pmm.frame_ranges has reserved */
    uint64_t tables;  /* page tables, early ones too */
    uint64_t reserved_low;  /* below 2 MiB: BIOS data, boot tables, image and state, early page tables */
    uint64_t reserved_books;  /* the books themselves, and the frames' records */
    int64_t largest_free_order;  /* -1 when no block is free */
    uint64_t fragmentation[19];  /* free frames that are in no free block of the order, per mille */
    uint64_t mapped[3];  /* pages of 4 KiB, 2 MiB and 1 GiB */
    uint64_t splits;
    uint64_t merges;
    struct incro_zone_statistics zones[3];
};
INCRO_ASSERT(incro_statistics_size, sizeof(struct incro_statistics) == 776);
INCRO_ASSERT(incro_statistics_nr_collected, offsetof(struct incro_statistics, nr_collected) == 0);
INCRO_ASSERT(incro_statistics_ram, offsetof(struct incro_statistics, ram) == 8);
INCRO_ASSERT(incro_statistics_books, offsetof(struct incro_statistics, books) == 16);
INCRO_ASSERT(incro_statistics_free, offsetof(struct incro_statistics, free) == 24);
INCRO_ASSERT(incro_statistics_pages, offsetof(struct incro_statistics, pages) == 32);
INCRO_ASSERT(incro_statistics_kept, offsetof(struct incro_statistics, kept) == 40);
INCRO_ASSERT(incro_statistics_tables, offsetof(struct incro_statistics, tables) == 48);
INCRO_ASSERT(incro_statistics_reserved_low, offsetof(struct incro_statistics, reserved_low) == 56);
INCRO_ASSERT(incro_statistics_reserved_books, offsetof(struct incro_statistics, reserved_books) == 64);
INCRO_ASSERT(incro_statistics_largest_free_order, offsetof(struct incro_statistics, largest_free_order) == 72);
INCRO_ASSERT(incro_statistics_fragmentation, offsetof(struct incro_statistics, fragmentation) == 80);
INCRO_ASSERT(incro_statistics_mapped, offsetof(struct incro_statistics, mapped) == 232);
INCRO_ASSERT(incro_statistics_splits, offsetof(struct incro_statistics, splits) == 256);
INCRO_ASSERT(incro_statistics_merges, offsetof(struct incro_statistics, merges) == 264);
INCRO_ASSERT(incro_statistics_zones, offsetof(struct incro_statistics, zones) == 272);

/* Everything. */
struct incro_kernel {
    struct incro_console_state console;
    struct incro_hook_state hooks;
    struct incro_screen_state screen;
    struct incro_memory_map memory_map;
    struct incro_frame_state frames;
    struct incro_page_state pages;
    struct incro_pcid_state pcids;
    struct incro_heap_state heap;
    struct incro_chunk_state chunks;
    struct incro_slab_state slabs;
    struct incro_vmalloc_state vmalloc;
    struct incro_counters counters;
    struct incro_statistics statistics;
};
INCRO_ASSERT(incro_kernel_size, sizeof(struct incro_kernel) == 54856);
INCRO_ASSERT(incro_kernel_console, offsetof(struct incro_kernel, console) == 0);
INCRO_ASSERT(incro_kernel_hooks, offsetof(struct incro_kernel, hooks) == 16);
INCRO_ASSERT(incro_kernel_screen, offsetof(struct incro_kernel, screen) == 280);
INCRO_ASSERT(incro_kernel_memory_map, offsetof(struct incro_kernel, memory_map) == 2320);
INCRO_ASSERT(incro_kernel_frames, offsetof(struct incro_kernel, frames) == 8632);
INCRO_ASSERT(incro_kernel_pages, offsetof(struct incro_kernel, pages) == 47688);
INCRO_ASSERT(incro_kernel_pcids, offsetof(struct incro_kernel, pcids) == 47840);
INCRO_ASSERT(incro_kernel_heap, offsetof(struct incro_kernel, heap) == 47856);
INCRO_ASSERT(incro_kernel_chunks, offsetof(struct incro_kernel, chunks) == 47912);
INCRO_ASSERT(incro_kernel_slabs, offsetof(struct incro_kernel, slabs) == 48752);
INCRO_ASSERT(incro_kernel_vmalloc, offsetof(struct incro_kernel, vmalloc) == 54032);
INCRO_ASSERT(incro_kernel_counters, offsetof(struct incro_kernel, counters) == 54056);
INCRO_ASSERT(incro_kernel_statistics, offsetof(struct incro_kernel, statistics) == 54080);

/* ---- The start */

/* The first step: read the memory map, and call RAM free that is in nobody's use.
 *
 * INCRO_BAD_START for a struct that is not there or not aligned, no regions, no hook for panics, one of lock
 * and unlock without the other, or a window in config classic; INCRO_ALREADY_STARTED. */
int64_t pmm_init(struct incro_kernel *state, const struct incro_start *start);

/* The second step: make page tables of the library's own, with all that was mapped, and load CR3.
 *
 * INCRO_NOT_STARTED before pmm_init, INCRO_ALREADY_STARTED when it was done. */
int64_t vmm_init(void);

/* The last step: begin with an empty heap. INCRO_NOT_STARTED before vmm_init, INCRO_ALREADY_STARTED when it
 * was done. */
int64_t heap_init(void);

/* All three steps: pmm_init, vmm_init, heap_init. */
int64_t incro_mm_init(struct incro_kernel *state, const struct incro_start *start);

/* ---- Frames */

/* A zeroed frame of the zone; INCRO_NO_FRAME when none is free. */
int64_t pmm_alloc_page(void);

/* Take back what pmm_alloc_page or pmm_take_frame gave.
 *
 * INCRO_MISALIGNED, INCRO_FOREIGN (not of the zone), INCRO_RESERVED (below the zone, or a page table) and
 * INCRO_DOUBLE_FREE change nothing. Whose the frame is, and whether it is mapped, is not looked at: only its
 * owner may free it. */
int64_t pmm_free_page(uint64_t pa);

/* A frame of the zone with whatever its last owner left in it; INCRO_NO_FRAME. For callers that overwrite it
 * whole. */
int64_t pmm_take_frame(void);

/* Where the kernel reads and writes the byte at pa of a frame of pool or zone. */
void *pmm_address_of(uint64_t pa);

/* Whether pmm_alloc_page might give the frame round any pa. */
bool pmm_is_managed(uint64_t pa);

/* Whether pmm_alloc_page gave the frame round any pa and has not got it back. */
bool pmm_is_page(uint64_t pa);

/* Frames of the zone, or in `modern` of all RAM that blocks have, free or not. */
int64_t pmm_nr_total_frames(void);

/* Free frames among them. */
int64_t pmm_nr_free_frames(void);

/* 0, or the number, listed at the head of this file, of the first invariant that does not hold. */
int64_t pmm_check(void);

/* 512 frames in a row, at a multiple of 2 MiB, as their last owners left them; INCRO_NO_FRAME. Only in
 * `modern`. */
int64_t pmm_take_huge(void);

/* Take back what pmm_take_frame or pmm_take_huge gave; else the codes of pmm_free_page. Only in `modern`. */
int64_t pmm_free_block(uint64_t pa);

/* Zero so many frames, at most, for pmm_alloc_page to find: for a kernel that has nothing else to do. How
 * many it did.
 *
 * None in `classic`, which has a fixed number of frames and hands out the lowest. */
int64_t pmm_zero_ahead(int64_t nr_frames);

/* ---- Pages */

/* Map the page at va to the frame at pa; see vmm_map_leaf. In flags VMM_PRESENT must be set, and bit 7 is
 * VMM_PAT. */
int64_t vmm_map_page(uint64_t va, uint64_t pa, uint64_t flags);

/* Unmap the page at va and return its frame, which is the caller's again; see vmm_unmap_leaf. */
int64_t vmm_unmap_page(uint64_t va);

/* Give the page at va other flags; see vmm_protect_leaf. */
int64_t vmm_protect_page(uint64_t va, uint64_t flags);

/* The physical address of the byte at va, in a page of any size; INCRO_NOT_MAPPED, INCRO_NOT_CANONICAL. */
int64_t vmm_get_physical(uint64_t va);

/* Map the page of the level at va to the memory at pa, making the tables that are missing.
 *
 * Refused arguments: INCRO_BAD_LEVEL, INCRO_NOT_CANONICAL, INCRO_MISALIGNED (va or pa), INCRO_OUT_OF_RANGE
 * (pa), INCRO_BAD_FLAGS. INCRO_ALREADY_MAPPED: a page is there, of any size, or a table for smaller ones.
 * INCRO_ENTRY_IN_USE: the entry is not present and not 0. INCRO_NO_FRAME: no frame for a table.
 * INCRO_OUT_OF_RANGE starts at the architecture's 52 bits, and level 3 is not refused: whether the processor
 * has fewer bits, or no pages of 1 GiB, is the caller's to know (cpuid). */
int64_t vmm_map_leaf(uint64_t va, uint64_t pa, uint64_t flags, int64_t level);

/* Unmap the page of the level at va, give back the tables that it empties, return the memory that it mapped.
 *
 * INCRO_BAD_LEVEL, INCRO_NOT_CANONICAL, INCRO_MISALIGNED, INCRO_NOT_MAPPED, and INCRO_LARGE_PAGE or
 * INCRO_SMALL_PAGE when the page at va has another size. */
int64_t vmm_unmap_leaf(uint64_t va, int64_t level);

/* Give the page of the level at va these flags and no others, except that accessed and dirty stay set.
 *
 * INCRO_BAD_FLAGS, and the codes of vmm_unmap_leaf. */
int64_t vmm_protect_leaf(uint64_t va, uint64_t flags, int64_t level);

/* Map [va, va + nbytes) to the memory from pa on.
 *
 * INCRO_MISALIGNED (va, pa, nbytes), INCRO_NOT_CANONICAL, INCRO_OUT_OF_RANGE, INCRO_BAD_FLAGS,
 * INCRO_RESERVED; INCRO_ALREADY_MAPPED and INCRO_ENTRY_IN_USE when any of the entries is not 0;
 * INCRO_NO_FRAME. */
int64_t vmm_map_range(uint64_t va, uint64_t pa, size_t nbytes, uint64_t flags);

/* Unmap [va, va + nbytes), whatever the sizes of its pages. Pages that lie in it in part are split.
 *
 * INCRO_MISALIGNED, INCRO_NOT_CANONICAL, INCRO_RESERVED; INCRO_NOT_MAPPED if anything in it is not;
 * INCRO_NO_FRAME for a split. */
int64_t vmm_unmap_range(uint64_t va, size_t nbytes);

/* Give [va, va + nbytes) these flags and no others, except that accessed and dirty stay set.
 *
 * The codes of vmm_unmap_range, and INCRO_BAD_FLAGS. */
int64_t vmm_protect_range(uint64_t va, size_t nbytes, uint64_t flags);

/* 0, or the number of the first VMM invariant that does not hold; see space_check for config `modern`. */
int64_t vmm_check(void);

/* Addresses for nbytes bytes, from the start of a page on, writable and never executed; content not
 * specified.
 *
 * 0, and nothing changed, when nbytes is not positive, or there are no addresses or frames. */
void *vmalloc(size_t nbytes);

/* Take back what vmalloc gave; 0 is nobody's and does nothing. INCRO_BAD_FREE, and nothing changed, for all
 * else. */
int64_t vfree(void *va);

/* ---- Objects */

/* Give nbytes bytes at an address that is a multiple of 16; their content is not specified.
 *
 * 0 when nbytes is not positive (2**63 and more arrive as negative words) or there is no room or no frame for
 * it; then nothing has changed. */
void *kmalloc(size_t nbytes);

/* Take back what was given; 0 is nobody's and does nothing. INCRO_BAD_FREE, and nothing changed, for all
 * else. */
int64_t kfree(void *ptr);

/* As kmalloc, all bytes 0. */
void *kzalloc(size_t nbytes);

/* Room for so many items, all bytes 0; 0 as in kmalloc, also where their bytes are more than a word holds. */
void *kcalloc(size_t nr_items, size_t item_bytes);

/* Let what was given have nbytes bytes, where it is or elsewhere with its content and its alignment.
 *
 * 0 when that cannot be, or nothing was given at ptr; then nothing has changed. As kmalloc when ptr is 0, as
 * kfree when nbytes is 0. */
void *krealloc(void *ptr, size_t nbytes);

/* As kmalloc, at a multiple of the alignment; 0 also when that is no power of two.
 *
 * First fit has no alignment beyond 16. */
void *kmemalign(size_t alignment, size_t nbytes);

/* How many bytes there are at what was given, at least those asked for; 0 for every other pointer. */
size_t kmalloc_usable_size(const void *ptr);

/* Whether an address lies in the heap's ranges. */
bool heap_owns(const void *ptr);

/* Bytes that are handed out, headers and rounding included. */
int64_t heap_used_bytes(void);

/* Bytes of the pages that have frames; those that vmalloc serves are among its own. */
int64_t heap_committed_bytes(void);

/* Bytes that can be had before the range must grow, with frames or without; heap_used_bytes is not among
 * them. */
int64_t heap_free_bytes(void);

/* Give back frames that nothing lies in; how many bytes. First fit keeps them. */
int64_t heap_shrink(void);

/* 0, or the number of the first invariant that does not hold. */
int64_t heap_check(void);

/* ---- Figures */

/* Count figures about memory, and say where they are; 0 in config classic, which has none. */
const struct incro_statistics *incro_mm_statistics(void);

/* ---- The size of struct incro_kernel */

/* How many bytes a struct incro_kernel of this library has: sizeof of it, unless the header is of another
 * one. */
size_t incro_mm_state_bytes(void);

#undef INCRO_ASSERT

#ifdef __cplusplus
}
#endif

#endif
