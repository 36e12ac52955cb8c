"""The memory manager and the small kernel round it: the only code that is compiled for bare metal.

Everything here is kernel Python (docs/language.md). Who may import whom, from the top down:
main, selftest, heap, vmm, pmm, panic, console, state, and below them layout, config and codes.
"""
