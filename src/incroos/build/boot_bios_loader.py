"""The second part of the BIOS boot code: everything between the boot sector and the kernel's entry.

It runs at bios.loader in real mode, segment 0, with the boot sector in place: bios.read reads the next sectors of the
disk, bios.fail prints the sentence at si and ends the machine. It leaves real mode twice: for a moment in bios.move,
because real mode reaches no more than the first megabyte, and at the end for good.

E820: "System Address Map Interfaces" of the ACPI specification. Firmware in the field says the end of the map by a
carry, by ebx = 0, or by both; knows entries of 20 bytes or of 24; and changes registers that it should not.
"""

from typing import Final

from .boot_pvh import MAX_REGIONS, SENTENCES

LOADER_SENTENCES: Final = {
    'no_long_mode': SENTENCES['no_long_mode'],
    'no_nx': SENTENCES['no_nx'],
    'no_map': 'This firmware tells no memory map (int 15h, E820).',
    'endless_map': f"This firmware's memory map does not end within {MAX_REGIONS} entries.",
    'no_a20': 'Address line A20 cannot be switched on.',
    'incomplete': 'The kernel did not arrive whole; its copy on this disk is damaged, or there is no RAM for it.',
}

TOO_LITTLE_RAM: Final = 'This PC has too little RAM: the program and its files reach up to {megabytes:,} MiB.'

# Fail unless one entry of the memory map says that all is RAM that will be written.
REQUIRE_RAM: Final = """
.code16
bios.require_ram:
    mov ${memory_map} / 16, %ax
    mov %ax, %es
    xor %di, %di
    mov bios.nr_regions, %cx
1:  cmpl $1, %es:16(%di)
    jne 2f
    cmpl $0, %es:4(%di)
    jne 2f
    mov %es:(%di), %eax
    cmp ${destination:#x}, %eax
    ja 2f
    cmpl $0, %es:12(%di)
    jne 3f                                  # it reaches beyond 4 GiB
    add %es:8(%di), %eax
    jc 3f
    cmp ${end:#x}, %eax
    jae 3f
2:  add ${region_bytes}, %di
    loop 1b
    mov $bios.too_little_ram, %si
    jmp bios.fail
3:  xor %ax, %ax
    mov %ax, %es
    ret

"""

LOADER_TEXT: Final = """
    .org {correction}
bios.correction:
    .word 0                                 # what the loader's words lack to a sum of 0; put in when all is linked
    .org {sector_bytes} - 2
    .word 0xAA55
bios.loader:
    mov $0x80000000, %eax
    cpuid
    mov $bios.no_long_mode, %si
    cmp $0x80000001, %eax
    jb bios.fail
    mov $0x80000001, %eax
    cpuid
    mov $bios.no_long_mode, %si
    bt $29, %edx
    jnc bios.fail
    mov $bios.no_nx, %si
    bt $20, %edx
    jnc bios.fail
    call bios.ask_memory_map
    call bios.open_a20

{require_ram}
bios.next_piece:
    mov bios.nr_sectors, %ecx
    jecxz bios.enter
    cmp ${buffer_sectors}, %ecx
    jbe 1f
    mov ${buffer_sectors}, %ecx
1:  sub %ecx, bios.nr_sectors
    movw ${buffer} / 16, bios.packet_segment
    push %cx
    call bios.read
    pop %cx
    call bios.move
    jmp bios.next_piece

bios.enter:
    mov $bios.incomplete, %si
    cmpl ${low_sum:#x}, bios.sums
    jne bios.fail
    cmpl ${high_sum:#x}, bios.sums + 4
    jne bios.fail
    cli
    lgdtl bios.gdt_register
    mov $1, %eax                            # PE, and nothing else: the ABI wants it so
    mov %eax, %cr0
    ljmpl $8, $bios.protected

# Memory map to {memory_map:#x}, in the form of PVH, which is that of the BIOS but for the last four bytes.
bios.ask_memory_map:
    mov ${memory_map} / 16, %ax
    mov %ax, %es
    xor %di, %di
    xor %ebx, %ebx
    mov ${max_regions}, %bp
1:  mov $bios.endless_map, %si
    dec %bp
    js bios.fail
    movl $1, %es:20(%di)                    # stays where firmware knows 20 bytes only
    mov $0xE820, %eax
    mov $24, %ecx
    mov $0x534D4150, %edx                   # 'SMAP'
    push %bp
    push %di
    int $0x15
    pop %di
    pop %bp
    jc 3f                                   # the end, said in another way
    cmp $0x534D4150, %eax
    jne 4f
    testb $1, %es:20(%di)
    jz 2f                                   # an entry to be ignored, by the ACPI specification
    movl $0, %es:20(%di)
    add ${region_bytes}, %di
    incw bios.nr_regions
2:  test %ebx, %ebx
    jnz 1b
3:  cmpw $0, bios.nr_regions
    jne 5f
4:  mov $bios.no_map, %si
    jmp bios.fail
5:  xor %ax, %ax
    mov %ax, %es
    ret

# Each way to open A20 is tried only if the ones before it were in vain: some machines do not survive the last.
bios.open_a20:
    call bios.is_a20_open
    jne 1f
    mov $0x2401, %ax
    int $0x15
    call bios.is_a20_open
    jne 1f
    call bios.wait_for_keyboard
    mov $0xD1, %al                          # write the controller's output port
    out %al, $0x64
    call bios.wait_for_keyboard
    mov $0xDF, %al
    out %al, $0x60
    call bios.wait_for_keyboard
    call bios.is_a20_open
    jne 1f
    in $0x92, %al
    or $2, %al
    and $0xFE, %al                          # bit 0 resets the machine
    out %al, $0x92
    call bios.is_a20_open
    jne 1f
    mov $bios.no_a20, %si
    jmp bios.fail
1:  ret

# Flag "not equal" if a word and what lies 1 MiB above it differ. It may take a while until they do.
bios.is_a20_open:
    mov $0xFFFF, %ax
    mov %ax, %fs
    mov $-1, %cx
1:  incw bios.probe
    out %al, $0x80                          # takes a microsecond
    mov bios.probe, %ax
    cmp %ax, %fs:bios.probe + 0x10
    jne 2f
    loop 1b
2:  test %cx, %cx
    ret

# Until the keyboard's controller takes the next byte; not for ever, because there may be none.
bios.wait_for_keyboard:
    xor %cx, %cx
1:  out %al, $0x80
    in $0x64, %al
    test $2, %al
    loopnz 1b
    ret

# Move cx sectors from the buffer to where they belong, and add up what arrived there: the plain sum, and the sum of
# all plain sums on the way, which sees what has changed places.
bios.move:
    movzwl %cx, %ecx
    shl $7, %ecx
    mov ${buffer}, %esi
    mov bios.destination, %edi
    mov bios.sums, %ebx
    mov bios.sums + 4, %edx
    cli
    lgdtl bios.gdt_register
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmp $24, $1f
1:  mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
2:  movsl (%esi), %es:(%edi)
    mov -4(%edi), %eax
    add %eax, %ebx
    add %ebx, %edx
    dec %ecx
    jnz 2b
    mov $32, %ax                            # the limits of real mode
    mov %ax, %ds
    mov %ax, %es
    mov %cr0, %eax
    and $0xFE, %al
    mov %eax, %cr0
    ljmp $0, $3f
3:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    sti
    mov %edi, bios.destination
    mov %ebx, bios.sums
    mov %edx, bios.sums + 4
    ret

.code32
bios.protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %cr4
    mov ${zeros_start:#x}, %edi
    mov ${zeros_bytes:#x}, %ecx
    rep stosb
    mov $bios.start_info, %ebx
    mov ${entry:#x}, %eax
    jmp *%eax

.balign 8
bios.gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF                #  8: code, 32 bits
    .quad 0x00CF93000000FFFF                # 16: data, 4 GiB
    .quad 0x00009B000000FFFF                # 24: code, 16 bits
    .quad 0x000093000000FFFF                # 32: data, 64 KiB
bios.gdt_register:
    .word bios.gdt_register - bios.gdt - 1
    .long bios.gdt
bios.probe:
    .word 0
.balign 4
bios.nr_sectors:
    .long {nr_sectors}                      # of the kernel, still to be read
bios.destination:
    .long {destination:#x}
bios.sums:
    .long 0, 0
bios.start_info:
    .long 0x336EC578, 1, 0, 0               # magic, version, flags, modules
    .quad 0, 0, 0, {memory_map}             # modules, command line, ACPI tables, memory map
bios.nr_regions:
    .long 0, 0
"""
