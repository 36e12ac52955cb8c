"""How the processor enters the kernel."""
