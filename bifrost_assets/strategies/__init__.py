"""Strategies: what each wants to hold after a session. One file each, under `library/`."""
