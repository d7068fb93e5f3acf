"""The portal: reads the warehouse as bifrost_reader, acts through the daemon's API. May import bifrost_core only."""
