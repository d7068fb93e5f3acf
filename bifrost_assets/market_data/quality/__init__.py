"""What is doubted in market data, what is held before it is stored, and who decided."""
