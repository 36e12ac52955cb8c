"""Views over the memory of a guest: live, simulated, or a dump of it."""
