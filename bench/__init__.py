"""The benchmarks: compiled kernel functions against their twins in C. `make bench` runs them all."""
