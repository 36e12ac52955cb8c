"""The simulated computer, interpreted and compiled, against the processor's manuals and Unicorn."""
