"""One strategy a file: a module with a STRATEGY is found and run, nothing else to register."""
