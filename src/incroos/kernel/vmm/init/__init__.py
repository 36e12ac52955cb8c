"""How an address space begins: on the boot code's tables, or on tables of the kernel's own."""
