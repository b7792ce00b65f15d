"""Ways to compare two representations of the same samples; `METRICS` lists them."""

from akpsim.metrics.cka import cka, cka_debiased
from akpsim.metrics.kernel import cka_rbf, cka_rbf_debiased, rv
from akpsim.metrics.matching import correlation, hard_match, soft_match
from akpsim.metrics.metric import Metric as Metric
from akpsim.metrics.metric import Parameter as Parameter
from akpsim.metrics.neighbours import cknna, knn_jaccard, mutual_knn, rank_similarity, second_order_cosine
from akpsim.metrics.outputs import accuracy_difference, disagreement, jsd
from akpsim.metrics.points import concentricity, distance_correlation, gulp, magnitude, riemannian, uniformity
from akpsim.metrics.rsa import rsa
from akpsim.metrics.shape import nbs, permutation_procrustes, procrustes, procrustes_distance, shape
from akpsim.metrics.subspace import (
    cca,
    cca_squared,
    eigenspace_overlap,
    linear_regression,
    pwcca,
    ridge_cv,
    svcca,
)
from akpsim.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    [
        *(cka, cka_debiased, cka_rbf, cka_rbf_debiased, rv),
        *(cca, cca_squared, svcca, pwcca, eigenspace_overlap),
        *(procrustes, procrustes_distance, shape, nbs, permutation_procrustes),
        *(rsa, correlation, hard_match, soft_match),
        *(knn_jaccard, mutual_knn, cknna, second_order_cosine, rank_similarity),
        *(linear_regression, ridge_cv),
        *(distance_correlation, gulp, riemannian),
        *(magnitude, uniformity, concentricity),
        *(jsd, disagreement, accuracy_difference),
    ],
)
