"""Text that leaves the kernel: console, screen, hooks, and the last words of a panic."""
