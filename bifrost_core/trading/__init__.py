"""Pure trading rules, shared by the daemon and the backtests: no I/O, no clock, no randomness."""
