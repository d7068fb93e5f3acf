"""Everything that waits: the warehouse, the broker, time. Carries out what the core decides."""
