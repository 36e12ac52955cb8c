"""What keeps two processors, or two threads, out of each other's way."""
