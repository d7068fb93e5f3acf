"""The always-on side: takes target batches, checks risk, trades through a broker, keeps the book."""
