"""`python -m akpsim_cli` is `akpsim`."""

from .main import app

if __name__ == "__main__":  # processes that dask spawns import this module too
    app()
