"""What drives a kernel from outside: kernel Python that only run/ and tests use. No user's image has it."""
