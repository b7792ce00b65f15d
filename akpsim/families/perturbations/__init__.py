"""families/perturbations."""
