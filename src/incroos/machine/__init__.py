"""The simulated x86-64 computer: RAM, a paging unit with a real TLB, page faults, serial port, VGA text, exit port.

Written from the processor's manuals and never from the kernel, because it is the witness in the kernel's tests. Its
core is kernel Python over this process's memory, one source that is interpreted and compiled:

    architecture  the manuals' numbers      cpu        the state: registers, TLB, devices
    physical      what lies at an address   walk       the page tables           tlb       cached translations
    faults        how they reach the kernel access     translate or fault        memory    loads and stores
    registers     control and MSRs          devices    the ports                 lowering  primitive -> function

`host` is the memory of this process as the interpreter sees it, `computer` puts RAM and processor into it, `strict` is
the machine that interpreted kernels run on, with `translations` to find stale ones and `errors` to say what and where.
"""
