"""The frame tree: which frames are free, as sets of bits in levels."""
