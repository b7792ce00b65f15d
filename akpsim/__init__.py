"""Representation-similarity analysis of families of neural networks.

The table of contents is `__init__.pyi`; each name is imported when it is first used, and none of them imports torch.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
