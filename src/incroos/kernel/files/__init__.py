"""Files: the archive that the kernel was handed, the descriptors of a task, and what stands behind them."""
