"""The real core and shell on a virtual clock, against a broker and a warehouse in memory, with seeded faults."""
