"""Defects planted on purpose, outside the product's code: what the simulation must catch."""
