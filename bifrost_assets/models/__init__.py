"""Models of future returns: walk-forward training, the MLflow registry, predictions that only past models make."""
