"""The places where a kernel runs, behind one `open()`: the only code where kernel, machine and build meet."""
