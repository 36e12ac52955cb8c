/* From the PVH loader's entry to kmain(): long mode, and the first 2 MiB at their own addresses.
 *
 * The loader leaves 32-bit protected mode without paging, flat segments, and in ebx the address of its start information
 * ("x86/HVM direct boot ABI" of the Xen documentation). Text is mapped read-only, everything else not executable.
 */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                      /* name bytes, descriptor bytes, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    cli
    cld
    mov $stack_top, %esp
    movl $level3 + 3, level4            /* upper entries: present, writable; the leaf decides */
    movl $level2 + 3, level3
    movl $level1 + 3, level2

    mov $level1, %edi                   /* 512 leaves; eax is the page's address, edx the entry's upper half */
    xor %eax, %eax
1:  mov $3, %esi                        /* present, writable, */
    mov $0x80000000, %edx               /* not executable */
    cmp $text_start, %eax
    jb 2f
    cmp $text_end, %eax
    jae 2f
    mov $1, %esi                        /* text: present, executable */
    xor %edx, %edx
2:  or %eax, %esi
    mov %esi, (%edi)
    mov %edx, 4(%edi)
    add $8, %edi
    add $0x1000, %eax
    cmp $0x200000, %eax
    jb 1b

    mov $level4, %eax
    mov %eax, %cr3
    mov $0x20, %eax                     /* PAE */
    mov %eax, %cr4
    mov $0xC0000080, %ecx               /* EFER */
    rdmsr
    or $0x900, %eax                     /* LME, NXE */
    wrmsr
    mov $0x80010001, %eax               /* PG, WP, PE */
    mov %eax, %cr0
    lgdt gdt_register
    ljmp $8, $long_start

    .code64
long_start:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov %ebx, %edi                      /* the loader's start information, the upper half of rdi zero */
    xor %ebp, %ebp
    call kmain
1:  cli
    hlt
    jmp 1b

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF            /*  8: code, 64 bits, ring 0 */
    .quad 0x00CF93000000FFFF            /* 16: data */
gdt_register:
    .word gdt_register - gdt - 1
    .long gdt

    .bss
    .balign 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4096
level1: .skip 4096
    .skip 16384                         /* the stack, which grows down to here */
stack_top:

    .section .note.GNU-stack, "", @progbits
