"""No command overwrites what it reads, and a result is saved under a name that says netCDF."""

from pathlib import Path

import pytest

LYNX = Path(__file__).parents[1] / "data" / "lynx_hare.csv"
SAVING = ("compare", "calibrate", "crisis", "disperse", "ordinate", "fit-lv")


@pytest.mark.parametrize("command", [*SAVING, "table", "plot"])
@pytest.mark.parametrize("first", [True, False])
def test_an_input_is_not_overwritten(cli, tmp_path, command, first):
    path = tmp_path / "over.nc"
    path.write_bytes(LYNX.read_bytes())
    again = tmp_path / "." / "over.nc"
    arguments = ("-o", again, path) if first else (path, "--out", again)
    code, out, err = cli(command, *arguments)
    assert (code, out) == (1, "")
    assert err == f"akpsim: --out {again} is one of the inputs, which would be overwritten: choose another name\n"
    assert path.read_bytes() == LYNX.read_bytes()


@pytest.mark.parametrize("command", SAVING)
def test_a_result_is_saved_as_netcdf_only(cli, tmp_path, command):
    code, out, err = cli(command, LYNX, "-o", tmp_path / "x.csv")
    assert (code, out) == (1, "")
    assert err == "akpsim: --out takes a name that ends in .nc, for a result is saved as netCDF: got 'x.csv'\n"
    assert not (tmp_path / "x.csv").exists()
