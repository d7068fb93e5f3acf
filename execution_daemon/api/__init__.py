"""The daemon's control plane: HTTP on the loopback interface."""
