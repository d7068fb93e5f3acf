"""A paper exchange in its own process: speaks Alpaca's trading API over real bars, with its own durable ledger."""
