"""Daily compliance reports: what happened to every order, what every risk control decided, and proof of both."""
