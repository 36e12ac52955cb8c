"""Real programs whose calls of malloc are recorded for `make bench ARGS=heap`, and what they are given to do."""
