"""One module per group of commands; each imports what it starts only when it is called."""
