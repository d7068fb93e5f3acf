"""What models and strategies may look at: numbers per instrument and session, from that session's past only."""
