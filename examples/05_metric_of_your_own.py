"""A metric of your own: a point for each representation, a score for each two points, and what it claims to be."""

import numpy as np

import akpsim

mean_angle = akpsim.Metric(
    name="mean_angle",
    summary="cosine of the angle between mean responses",
    embed=lambda x: x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)),
    score=lambda points, others: np.stack(points) @ np.stack(others).T,
    kind="similarity",
    invariant_to=frozenset({"rotation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{\bar x \cdot \bar y}{\|\bar x\| \, \|\bar y\|}",
    source="this example",
    beware="it looks at the mean alone: networks that differ in all else are alike",
    widths="equal",
)
akpsim.METRICS.add(mean_angle)

rng = np.random.default_rng(0)
features = {name: rng.normal(loc=1, size=(50, 8)) for name in ("one", "two", "three")}
print(akpsim.compare(features, metric="mean_angle").round(3))
