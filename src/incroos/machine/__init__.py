"""The simulated x86-64 computer: RAM, a paging unit with a real TLB, page faults, serial port, VGA text, exit port.

Written from the processor's manuals and never from the kernel, whose witness it is. Its core is kernel Python over this
process's memory, one text interpreted and compiled:

    architecture  the manuals' numbers      cpu        the state: registers, TLB, devices
    physical      what lies at an address   walk       the page tables           tlb       what the processor remembers
    faults        how they reach the kernel access     translate or fault        memory    loads and stores
    registers     control and MSRs          devices    the ports                 lowering  primitive -> function

`host` is the memory of this process as the interpreter sees it, `computer` puts RAM and processor into it, `strict` is
the machine that interpreted kernels run on, with `translations` to find stale ones and `errors` to say what and where.
"""
