"""A matrix of distances and groups of one's own: effect with interval, location, verdict, map."""

import numpy as np

import akpsim
from akpsim.plots import PLOTS
from akpsim.plots.axes import save_figure

rng = np.random.default_rng(0)
groups = np.repeat(["happy", "unhappy"], [12, 8])
points = rng.normal(size=(20, 30)) * np.where(groups == "unhappy", 1.6, 1.0)[:, None]
distances = np.linalg.norm(points[:, None] - points[None, :], axis=-1)

dispersion = akpsim.disperse(distances, groups, seed=0)
print(dispersion.attrs["sentence"])
for name in ("log_ratio", "log_ratio_lower", "log_ratio_upper", "p", "p_location"):
    print(f"{name:16} {float(dispersion[name]):.3f}")

map_ = akpsim.with_effect(akpsim.ordinate(distances, "pcoa", by=groups), dispersion)
print(save_figure(PLOTS["ordination"].draw(map_), "map.png"))
