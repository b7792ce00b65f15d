"""families/datasets."""
