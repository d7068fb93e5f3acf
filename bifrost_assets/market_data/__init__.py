"""Daily bars, corporate actions and reference data: fetched, checked against rules, stored as vintages."""
