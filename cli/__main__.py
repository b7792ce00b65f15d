"""`python -m akpsim_cli` is `akpsim`."""

from .main import app

app()
