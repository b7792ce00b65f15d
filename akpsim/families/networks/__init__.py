"""families/networks."""
