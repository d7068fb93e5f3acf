"""Portfolio construction: one book from all signals, within limits, handed to the daemon as one batch."""
