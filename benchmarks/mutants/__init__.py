"""Defects planted on purpose, outside the product's code: what the simulation and the tests must catch."""
