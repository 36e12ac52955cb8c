"""The loops that are timed, in kernel Python: each calls the kernel so often that no call from Python is in the figure.

The twin of each loop, in C, is in bench/c. Results are compared modulo 2**30, by which the twin's addresses differ.
"""
