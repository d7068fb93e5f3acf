"""One short module per revision; the statements are in ../sql."""
