"""What happens: one module per use case, on the ports in ``ports``."""
