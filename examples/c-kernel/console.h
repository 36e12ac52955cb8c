/* What the kernel has of its own: text on the serial port, the end of the machine, and the loader's memory map. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "incro_mm.h"

enum { SERIAL = 0x3F8, EXIT_PORT = 0xF4, PASSED = 0x10, FAILED = 0x11, PANIC = 0x12, MAX_REGIONS = 128 };

/* Xen: struct hvm_start_info, which the PVH loader fills in. */
struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modules, command_line, rsdp, memory_map;
    uint32_t nr_entries, reserved;
};

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void put_bytes(const char *text, size_t nbytes)
{
    for (size_t at = 0; at < nbytes; at++) {
        while ((in8(SERIAL + 5) & 0x20) == 0) {
        }
        out8(SERIAL, (uint8_t)text[at]);
    }
}

static inline void put(const char *text)
{
    size_t nbytes = 0;
    while (text[nbytes] != 0)
        nbytes++;
    put_bytes(text, nbytes);
}

static inline void put_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        put_bytes(&"0123456789ABCDEF"[value >> shift & 15], 1);
}

static inline void put_decimal(int64_t value)
{
    char digits[20];
    int at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0)
        put("-");
    put_bytes(digits + at, sizeof digits - (size_t)at);
}

/* End the machine when all text has left the port. */
_Noreturn static inline void end(uint8_t code)
{
    while ((in8(SERIAL + 5) & 0x40) == 0) {
    }
    out8(EXIT_PORT, code);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* ---- what the library asks of the kernel */

static inline void write_hook(void *context, const char *text, size_t nbytes)
{
    (void)context;
    put_bytes(text, nbytes);
}

static inline void panic_hook(void *context, const struct incro_panic_report *report)
{
    (void)context;
    put("PANIC: ");
    put_bytes(report->text, report->nbytes);
    for (int index = 0; index < 3; index++) {
        put(" 0x");
        put_hex(index == 0 ? report->a : index == 1 ? report->b : report->c);
    }
    put("\n");
    end(PANIC);
}

extern char image_start[], image_end[];

/* The loader's list, and what this kernel uses itself: image, stack and struct incro_kernel are all between the symbols.
 * Where entries overlap, the library takes for RAM only what each of them calls RAM. */
static inline size_t list_regions(const struct start_info *info, struct incro_start_info_entry *regions)
{
    const struct incro_start_info_entry *told = (const struct incro_start_info_entry *)(uintptr_t)info->memory_map;
    size_t nr_regions = 0;
    while (nr_regions < info->nr_entries && nr_regions < MAX_REGIONS - 1) {
        regions[nr_regions] = told[nr_regions];
        nr_regions++;
    }
    regions[nr_regions].start = (uint64_t)(uintptr_t)image_start;
    regions[nr_regions].nbytes = (uint64_t)(image_end - image_start);
    regions[nr_regions].number = INCRO_REGION_RESERVED;
    regions[nr_regions].reserved = 0;
    return nr_regions + 1;
}

#endif
