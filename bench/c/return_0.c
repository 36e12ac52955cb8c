/* What bench/c/tasks.c starts. */
int main(void) { return 0; }
