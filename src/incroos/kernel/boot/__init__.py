"""The kernel that proves itself: entry point, self-test, and what it tells."""
