"""Ways to compare two representations of the same samples; `METRICS` lists them."""

from akpsim.metrics.cka import cka, cka_debiased
from akpsim.metrics.metric import Metric as Metric
from akpsim.registry import Registry

METRICS: Registry[Metric] = Registry("metric", [cka, cka_debiased])
