"""The deterministic core: what the daemon decides, as functions of state and input. No I/O, no clock, no randomness."""
