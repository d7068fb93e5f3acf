"""The shared kernel: settings, time, the warehouse, and the pure trading rules. Imports none of the other packages."""
