"""The processor and the loader as manuals describe them: bits, entries, registers, start information."""
