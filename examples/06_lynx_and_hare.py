"""Lynx and hare: fit prey and predator, look at the intervals, and ask whether it is Lotka-Volterra at all."""

from pathlib import Path

import akpsim
from akpsim.plots.axes import save_figure
from akpsim.plots.lotka_volterra import plot_lotka_volterra

pelts = akpsim.read_trajectory(Path(__file__).parents[1] / "data" / "lynx_hare.csv")
fit = akpsim.fit_lotka_volterra(None, pelts, interval="profile")
for name in ("a", "b", "c", "d", "period"):
    print(f"{name:7} {float(fit[name]):.4g}  [{float(fit[f'{name}_lower']):.4g}, {float(fit[f'{name}_upper']):.4g}]")

selection = akpsim.select_dynamics(None, pelts, prey="hare", starts=3)
for model in selection.model.values[selection.bic.values.argsort()]:
    print(f"{model:15} BIC {float(selection.bic.sel(model=model)):7.2f}")
print(selection.attrs["verdict"])

band = akpsim.bootstrap_lotka_volterra(fit, resamples=49, seed=0)
print(save_figure(plot_lotka_volterra(fit, band=band), "lynx_hare.png"))
