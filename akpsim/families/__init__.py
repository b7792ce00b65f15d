"""The making half: trains families of perturbed networks and writes what they compute.  The only part that uses torch.

The table of contents is `__init__.pyi`; torch is imported when a name that needs it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
