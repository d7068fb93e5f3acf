"""`bifrost limits try`: past decisions made again, under other limits."""
