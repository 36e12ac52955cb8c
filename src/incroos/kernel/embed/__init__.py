"""The memory manager as a library in another kernel."""
