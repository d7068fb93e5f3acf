"""The revision radar: what providers changed after the fact, and what would have been another way because of it."""
