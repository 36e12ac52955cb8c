"""The Linux interface: numbers, structures and error numbers of x86-64 Linux, and the table of its calls."""
