"""One-minute bars: loaded by session, rolled up, compared with the daily bars."""
