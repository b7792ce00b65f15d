"""families/training."""
