"""Every metric has a value from outside: other codes, scipy, scikit-learn, or a calculation by hand."""

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.spatial
import scipy.special
import scipy.stats
import torch
from skbio.stats.distance import DistanceMatrix, mantel
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import accuracy_score, jaccard_score
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import KernelCenterer

import akpsim
from akpsim import METRICS
from akpsim.errors import AkpsimWarning, UndefinedMetric

ORACLE = json.loads((Path(__file__).parent / "reference" / "metrics_oracle.json").read_text())["values"]
CALLS = {
    "cka (linear, biased)": ("cka", {}),
    "cka_debiased (linear, Song 2012)": ("cka_debiased", {}),
    "cka_rbf (sigma = 1.0 absolute, biased)": ("cka_rbf", {"sigma": 1.0}),
    "procrustes angular (centred, unit norm)": ("procrustes", {}),
    "cca mean": ("cca", {}),
    "svcca, 10 components": ("svcca", {"components": 10}),
    "rsa correlation RDM, spearman": ("rsa", {"compare": "spearman"}),
    "rsa correlation RDM, kendall": ("rsa", {"compare": "kendall"}),
    "hard correlation match": ("hard_match", {}),
    "linear regression R2 (in sample)": ("linear_regression", {}),
}


def pair(n=30, first=6, second=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, first))
    return x + 1, x[:, :second] @ rng.normal(size=(second, second)) + rng.normal(size=(n, second)) - 2


X, Y = pair()
XC, YC = X - X.mean(axis=0), Y - Y.mean(axis=0)
K = 10


def close(name, expected, x=X, y=Y, within=1e-10, **arguments):
    assert METRICS[name](x, y, **arguments) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize("case", ORACLE)
def test_values_most_codebases_agree_on(case):
    # nacloos/similarity-repository; tests/reference/metrics_oracle.json says which and how many
    np.random.seed(0)  # noqa: NPY002 - the inputs of the table are those of this generator
    x, y = (np.random.uniform(size=(30, 25)) for _ in range(2))  # noqa: NPY002
    name, arguments = CALLS[case]
    # 25 neurons a side and 30 samples: cca and regression warn, rightly, that 21 dimensions coincide by counts alone
    crowded = name in ("cca", "linear_regression")
    with pytest.warns(AkpsimWarning, match="21 coincide") if crowded else contextlib.nullcontext():
        close(name, ORACLE[case]["value"], x, y, within=1e-4, **arguments)


def test_cka_of_two_single_neurons_is_their_squared_correlation():
    x, y = np.array([[-1.0], [0.0], [1.0]]), np.array([[-1.0], [1.0], [0.0]])
    close("cka", 1 / 4, x, y)  # by hand: r = 1/2
    close("rv", scipy.stats.pearsonr(X[:, 0], Y[:, 0]).statistic ** 2, X[:, :1], Y[:, :1])


def test_cka_rbf_of_sklearn_s_kernel():
    sigma = np.median(scipy.spatial.distance.pdist(X))
    h = np.eye(30) - 1 / 30
    a = h @ rbf_kernel(X, gamma=1 / (2 * sigma**2)) @ h
    b = h @ rbf_kernel(Y, gamma=1 / (2 * np.median(scipy.spatial.distance.pdist(Y)) ** 2)) @ h
    close("cka_rbf", (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def hsic_1(k, m):
    """Song et al. 2012, equation 5, written out."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()
    return total / (n * (n - 3))


def test_debiased_forms_follow_the_equation_of_song_and_others():
    for name, k, m in (
        ("cka_debiased", X @ X.T, Y @ Y.T),
        (
            "cka_rbf_debiased",
            rbf_kernel(X, gamma=1 / (2 * np.median(scipy.spatial.distance.pdist(X)) ** 2)),
            rbf_kernel(Y, gamma=1 / (2 * np.median(scipy.spatial.distance.pdist(Y)) ** 2)),
        ),
    ):
        close(name, hsic_1(k, m) / math.sqrt(hsic_1(k, k) * hsic_1(m, m)))


def test_the_modified_rv_drops_diagonals():
    # Smilde et al. 2009, equation 5: entries off the diagonal of the product matrices
    off = ~np.eye(30, dtype=bool)
    a, b = (XC @ XC.T)[off], (YC @ YC.T)[off]
    close("rv", a @ b / np.linalg.norm(a) / np.linalg.norm(b), modified=True)


def canonical_correlations(x, y):
    """scipy's singular values of products of orthonormal bases from scipy's QR with pivoting."""
    q, r = (scipy.linalg.orth(a - a.mean(axis=0)) for a in (x, y))
    return np.cos(scipy.linalg.subspace_angles(q, r))


def test_canonical_correlations_are_scipy_s_angles_between_subspaces():
    rho = canonical_correlations(X, Y)
    close("cca", rho.mean())
    close("cca_squared", (rho**2).mean())
    close("svcca", rho.mean(), variance=1)
    close("eigenspace_overlap", (np.cos(scipy.linalg.subspace_angles(X, Y)) ** 2).sum() / 6)


def test_canonical_correlations_are_singular_values_of_scipy_s_qr():
    q, r = (scipy.linalg.qr(a, mode="economic")[0] for a in (XC, YC))
    rho = scipy.linalg.svdvals(q.T @ r)
    close("cca", rho.mean())
    close("cca_squared", (rho**2).mean())
    close("linear_regression", np.linalg.norm(r.T @ XC) ** 2 / np.linalg.norm(XC) ** 2)


def test_canonical_correlations_are_sklearn_s():
    one, two = CCA(n_components=4, scale=False, max_iter=5000, tol=1e-14).fit_transform(X, Y)
    close(
        "cca", np.mean([scipy.stats.pearsonr(a, b).statistic for a, b in zip(one.T, two.T, strict=True)]), within=1e-6
    )


def test_projection_weights_follow_their_definition():
    # Morcos et al. 2018: variates from scipy's generalised eigenproblem of the covariances
    sxx, sxy, syy = XC.T @ XC, XC.T @ YC, YC.T @ YC
    squares, vectors = scipy.linalg.eigh(sxy @ np.linalg.solve(syy, sxy.T), sxx)
    rho, vectors = np.sqrt(squares[::-1][:4]), vectors[:, ::-1][:, :4]
    alpha = np.abs((XC @ vectors).T @ XC).sum(axis=1)
    close("pwcca", (alpha * rho).sum() / alpha.sum())


def test_procrustes_is_scipy_s():
    pad = np.column_stack([Y, np.zeros((30, 2))])
    disparity = scipy.spatial.procrustes(X, pad)[2]  # one less the squared cosine
    close("procrustes", math.asin(math.sqrt(disparity)))
    close("nbs", math.sqrt(1 - disparity))
    q, _ = scipy.linalg.orthogonal_procrustes(pad - pad.mean(axis=0), XC)
    close("procrustes_distance", np.linalg.norm((pad - pad.mean(axis=0)) @ q - XC))


def test_bures_similarity_is_the_fidelity_of_gram_matrices():
    # tr sqrt(K^1/2 L K^1/2) is the nuclear norm of K^1/2 L^1/2; roots from scipy's eigenvectors
    roots = []
    for a in (XC, YC):
        values, vectors = scipy.linalg.eigh(a @ a.T / np.linalg.norm(a) ** 2, subset_by_index=[30 - a.shape[1], 29])
        roots.append(vectors * np.sqrt(values) @ vectors.T)
    close("nbs", scipy.linalg.svdvals(roots[0] @ roots[1]).sum())


def angle_of_best_rotation(x, y):
    """Williams et al. 2021, equation 7, for representations of equal widths, from scipy's rotation."""
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = scipy.linalg.orthogonal_procrustes(x, y)
    return math.acos((x @ rotation * y).sum())


def partly_white(x, alpha):
    """Between white and as it is: the symmetric whitening root of scipy, without any decomposition of ours."""
    white = scipy.linalg.fractional_matrix_power(x.T @ x, -0.5)
    return x @ (alpha * np.eye(x.shape[1]) / np.linalg.norm(x) + (1 - alpha) * white / math.sqrt(x.shape[1]))


@pytest.mark.parametrize("alpha", [0, 0.25, 0.5, 1])
def test_shapes_lie_between_cca_and_procrustes(alpha):
    y = YC[:, :3] @ np.random.default_rng(0).normal(size=(3, 6)) + XC  # as many neurons as X
    close("shape", angle_of_best_rotation(partly_white(XC, alpha), partly_white(y, alpha)), y=y, alpha=alpha)
    if alpha == 0:
        close("shape", math.acos(canonical_correlations(X, y).mean()), y=y, alpha=alpha)


def test_permutations_are_found_by_trying_all():
    from itertools import permutations

    x, y = XC[:, :4] / np.linalg.norm(XC[:, :4]), YC / np.linalg.norm(YC)
    close("permutation_procrustes", min(np.linalg.norm(x - y[:, p]) for p in permutations(range(4))), x=X[:, :4])
    r = np.corrcoef(X[:, :4].T, Y.T)[:4, 4:]
    close("hard_match", max(np.mean([r[i, p[i]] for i in range(4)]) for p in permutations(range(4))), x=X[:, :4])
    close("soft_match", r.max(axis=1).mean(), x=X[:, :4])
    close("correlation", r.max(axis=1).mean(), x=X[:, :4], match="soft")
    close("correlation", np.mean([scipy.stats.pearsonr(X[:, i], Y[:, i]).statistic for i in range(4)]), x=X[:, :4])
    whole = np.corrcoef(X.T, Y.T)[:6, 6:]
    best = whole[scipy.optimize.linear_sum_assignment(whole, maximize=True)].mean()
    for name, match in (("correlation", {"match": "hungarian"}), ("hard_match", {})):
        close(name, best, **match)
    for name, match in (("correlation", {"match": "soft"}), ("soft_match", {})):
        close(name, whole.max(axis=1).mean(), **match)


@pytest.mark.parametrize("rdm", ["correlation", "euclidean", "squared_euclidean", "cosine"])
@pytest.mark.parametrize("compare", ["pearson", "spearman", "kendall", "cosine"])
def test_rsa_is_made_of_scipy_s_parts(rdm, compare):
    a, b = (scipy.spatial.distance.pdist(x, rdm.replace("squared_", "sq")) for x in (X, Y))
    statistic = {
        "pearson": lambda: scipy.stats.pearsonr(a, b).statistic,
        "spearman": lambda: scipy.stats.spearmanr(a, b).statistic,
        "kendall": lambda: scipy.stats.kendalltau(a, b).statistic,
        "cosine": lambda: 1 - scipy.spatial.distance.cosine(a, b),
    }[compare]
    close("rsa", statistic(), rdm=rdm, compare=compare)


def test_rsa_is_scikit_bio_s_mantel_statistic():
    a, b = (DistanceMatrix(scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x))) for x in (X, Y))
    close("rsa", mantel(a, b, permutations=0)[0], rdm="euclidean", compare="pearson")


def test_equal_dissimilarities_share_their_rank():
    # By hand: squares of side 1 and of sides 1 and 2 have dissimilarities 1 1 1 1 2 2 and 1 4 4 1 5 5 (squared)
    x = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    y = x * [2, 1]
    a, b = [1, 2, 1, 1, 2, 1], [4, 5, 1, 1, 5, 4]
    close("rsa", scipy.stats.spearmanr(a, b).statistic, x, y, rdm="squared_euclidean")
    close("rsa", scipy.stats.kendalltau(a, b).statistic, x, y, rdm="squared_euclidean", compare="kendall")
    # On a line, 0 1 2 3 and 0 1 3 7: distances 1 2 3 1 2 1, of which ranks are 2 4.5 6 2 4.5 2, and 1 3 7 2 6 4
    line, spread = np.array([[0.0], [1], [2], [3]]), np.array([[0.0], [1], [3], [7]])
    expected = np.corrcoef([2, 4.5, 6, 2, 4.5, 2], [1, 3, 6, 2, 5, 4])[0, 1]
    close("rsa", expected, line, spread, rdm="euclidean")


def neighbours(x):
    found = NearestNeighbors(n_neighbors=K + 1, metric="cosine").fit(x).kneighbors(x, return_distance=False)
    return [[j for j in row if j != i][:K] for i, row in enumerate(found)]


def test_neighbours_are_sklearn_s():
    one, two = neighbours(X), neighbours(Y)
    masks = [np.array([[j in row for j in range(30)] for row in rows]) for rows in (one, two)]
    close("knn_jaccard", jaccard_score(*masks, average="samples"))
    close("mutual_knn", np.mean([len(set(a) & set(b)) / K for a, b in zip(one, two, strict=True)]))
    s, t = cosine_similarity(X), cosine_similarity(Y)
    unions = [sorted(set(a) | set(b)) for a, b in zip(one, two, strict=True)]
    cosines = [1 - scipy.spatial.distance.cosine(s[i, u], t[i, u]) for i, u in enumerate(unions)]
    close("second_order_cosine", np.mean(cosines))
    ranks = []
    for a, b in zip(one, two, strict=True):
        common = set(a) & set(b)
        top = sum(2 / ((1 + abs(a.index(j) - b.index(j))) * (a.index(j) + b.index(j) + 2)) for j in common)
        ranks.append(top / sum(1 / m for m in range(1, len(common) + 1)) if common else 0)
    close("rank_similarity", np.mean(ranks))

    def align(first, second, pairs):
        a, b = (m - m.mean(axis=1, keepdims=True) for m in (first, second))
        return sum(a[i, j] * b[i, j] for i, js in enumerate(pairs) for j in js)

    common = [set(a) & set(b) for a, b in zip(one, two, strict=True)]
    close("cknna", align(s, t, common) / math.sqrt(align(s, s, one) * align(t, t, two)))


def test_equally_close_samples_are_taken_in_their_order():
    # By hand, k = 1: responses 0 and 1 point one way and 2 and 3 another, 4 lies between; the earlier wins
    x = np.array([[1.0, 0], [2, 0], [0, 1], [0, 2], [1, 1]])
    y = np.array([[1.0, 0], [2, 0], [3, 0], [0, 2], [0, 1]])
    # neighbours of 0..4 in x: 1 0 3 2 0; in y: 1 0 0 4 3
    close("mutual_knn", 2 / 5, x, y, k=1)


def test_regression_is_sklearn_s():
    close("linear_regression", _r2(X, Y))


def _r2(x, y):
    """Share of the variance of all neurons of x together that y explains."""
    rest = x - LinearRegression().fit(y, x).predict(y)
    return 1 - (rest**2).sum() / ((x - x.mean(axis=0)) ** 2).sum()


def test_cross_validated_ridge_is_sklearn_s_fold_by_fold():
    order = np.random.default_rng(3).permutation(30)
    rest = total = 0.0
    for fold in np.array_split(order, 5):
        train = np.setdiff1d(order, fold)
        alpha = 0.1 * ((Y[train] - Y[train].mean(axis=0)) ** 2).sum() / 4
        found = Ridge(alpha=alpha).fit(Y[train], X[train]).predict(Y[fold])
        rest += ((X[fold] - found) ** 2).sum()
        total += ((X[fold] - X[train].mean(axis=0)) ** 2).sum()
    close("ridge_cv", 1 - rest / total, seed=3)


def test_distance_correlation_is_the_one_of_its_paper():
    # Szekely, Rizzo, Bakirov 2007, definition 3, from scipy's distances
    a, b = (scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x)) for x in (X, Y))
    centre = [d - d.mean(axis=0) - d.mean(axis=1)[:, None] + d.mean() for d in (a, b)]
    close("distance_correlation", math.sqrt((centre[0] * centre[1]).sum() / math.prod(map(np.linalg.norm, centre))))
    close("distance_correlation", hsic_1(a, b) / math.sqrt(hsic_1(a, a) * hsic_1(b, b)), debiased=True)


def test_gulp_is_the_formula_of_covariances():
    # Boix-Adsera et al. 2022, proposition 1: covariances, inverses and traces
    x, y = (a / np.linalg.norm(a) * math.sqrt(30) for a in (XC, YC))
    sx, sy, sxy = x.T @ x / 30, y.T @ y / 30, x.T @ y / 30
    ix, iy = np.linalg.inv(sx + 0.01 * np.eye(6)), np.linalg.inv(sy + 0.01 * np.eye(4))
    square = np.trace(ix @ sx @ ix @ sx) + np.trace(iy @ sy @ iy @ sy) - 2 * np.trace(ix @ sxy @ iy @ sxy.T)
    close("gulp", math.sqrt(square))


def test_riemannian_distance_is_scipy_s_generalised_eigenvalues():
    k, m = (0.9 * (a @ a.T) / np.trace(a @ a.T) + 0.1 / 30 * np.eye(30) for a in (XC, YC))
    close("riemannian", math.sqrt((np.log(scipy.linalg.eigvalsh(m, k)) ** 2).sum()))


@pytest.mark.parametrize("shrinkage", [0.999, 0.1, 1e-3, 1e-6])
def test_riemannian_distance_of_single_neurons_by_hand(shrinkage):
    # K = b I + (a - b) u u', L the same of v: two eigenvalues of K^-1 L are not 1 and they are l and 1 / l, so that
    # l + 1 / l is the trace in the plane of u and v, 2 + (a - b)^2 (1 - (u' v)^2) / (a b); here (u' v)^2 = 64 / 80
    x, y = np.array([[1.0, -1, 1, -1]]).T, np.array([[3.0, -1, 1, -3]]).T
    b = shrinkage / 4
    a = 1 - shrinkage + b
    expected = math.sqrt(2) * math.acosh(1 + (a - b) ** 2 * (1 - 64 / 80) / (2 * a * b))
    assert METRICS["riemannian"](x, y, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-10, abs=0)


@pytest.mark.parametrize("shrinkage", [0, 1e-10, 1e-8])
def test_gram_matrices_that_float64_cannot_invert_are_refused(shrinkage):
    says = (
        f"riemannian is undefined: with `shrinkage` {shrinkage:g} the eigenvalues of the Gram matrix are over 1e\\+07"
    )
    with pytest.raises(UndefinedMetric, match=says):
        METRICS["riemannian"](X, Y, shrinkage=shrinkage)


def test_representations_are_not_shrunk_to_nothing():
    with pytest.raises(akpsim.AkpsimError, match=r"`shrinkage` must be a number from 0 to 0\.999, got 1"):
        METRICS["riemannian"](X, Y, shrinkage=1)


def test_cka_of_sklearn_s_centred_kernels():
    a, b = (KernelCenterer().fit_transform(x @ x.T) for x in (X, Y))
    expected = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    close("cka", expected)
    close("rv", expected)


def test_uniformity_of_scipy_s_distances():
    def uniformity(x):
        d = scipy.spatial.distance.pdist(x / np.linalg.norm(x, axis=1, keepdims=True), "sqeuclidean")
        return math.log((2 * np.exp(-3 * d).sum() + 30) / 900)

    close("uniformity", abs(uniformity(X) - uniformity(Y)), temperature=3)


def test_equal_canonical_correlations_have_no_weights():
    # Two directions are shared, the third is not: the first two variates may be turned, and their weights with them
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    y = np.column_stack([x[:, :2], rng.normal(size=30)])
    with pytest.raises(UndefinedMetric, match="pwcca is undefined: canonical correlations are equal, so that"):
        METRICS["pwcca"](x, y)
    close("pwcca", 1, x, x @ rng.normal(size=(3, 3)))  # all are shared: any weights give 1


def test_concentricity_is_about_the_mean_of_responses_as_long_as_they_are():
    # By hand: (3, 0) and (0, 1) have the mean (3, 1) / 2, with cosines 3 and 1 over the root of 10
    close("concentricity", 1 - 2 / math.sqrt(10), np.array([[3.0, 0.0], [0.0, 1.0]]), np.ones((2, 2)))


def test_statistics_of_one_side_by_hand():
    x, y = np.array([[3.0, 4.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    close("magnitude", 5 - math.sqrt(1 / 2), x, y)
    # x is one point; of y half the pairs are at squared distance 2, at temperature 2
    close("uniformity", abs(math.log((1 + math.exp(-4)) / 2)), x, y)
    close("concentricity", 1 - math.sqrt(1 / 2), x, y)


def test_outputs_are_scipy_s_and_sklearn_s():
    p, q = (np.exp(a[:, :4]) / np.exp(a[:, :4]).sum(axis=1, keepdims=True) for a in (X, Y))
    close("jsd", np.mean(scipy.spatial.distance.jensenshannon(p, q, base=2, axis=1) ** 2), p, q)
    soft = (scipy.special.softmax(a, axis=1) for a in (X[:, :4], Y))
    close("jsd", np.mean(scipy.spatial.distance.jensenshannon(*soft, base=2, axis=1) ** 2), X[:, :4], Y, logits=True)
    close("disagreement", 1 - accuracy_score(p.argmax(axis=1), q.argmax(axis=1)), p, q)
    labels = np.arange(30) % 4
    expected = abs(accuracy_score(labels, p.argmax(axis=1)) - accuracy_score(labels, q.argmax(axis=1)))
    close("accuracy_difference", expected, p, q, labels=labels)


@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
def test_divergences_of_outputs_are_right_from_impossible_to_nearly_equal(library):
    # By hand, one row each: half a bit for (1, 0) and (1/2, 1/2) less .19 as in Lin 1991, one for two certainties
    certain, other, even = ([1.0, 0.0]), ([0.0, 1.0]), ([0.5, 0.5])
    for p, q, expected in ((certain, other, 1), (certain, certain, 0), (certain, even, 1.5 - 0.75 * math.log2(3))):
        assert METRICS["jsd"](library([p]), library([q])) == pytest.approx(expected, abs=1e-15)
    # The leading term, (p - q)^2 / (8 p log 2) a class, is off by 1 part in 1 / step
    p = np.array([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]])
    for step in (2.0**-20, 2.0**-30, 2.0**-50):
        q = p + step * np.array([[1, -1, 0], [0, 1, -1]])
        expected = ((p - q) ** 2 / p).sum() / 2 / (8 * math.log(2))
        assert METRICS["jsd"](library(p), library(q)) == pytest.approx(expected, rel=8 * step + 1e-15, abs=0)
    # Logits so far apart that a probability is below the smallest number
    far = [library([[0.0, low], [0.0, 0.0]]) for low in (-744.8, -800)]
    assert METRICS["jsd"](*far, logits=True) == pytest.approx(0, abs=1e-300)


def keeping_unequal_numbers():
    """Two families of four members: few strong directions, and as many with broad noise."""
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(2, 200, 8)) * np.logspace(0, -1, 8)
    return [
        signal @ rng.normal(size=(8, 64)) + noise * rng.normal(size=(200, 64))
        for signal, noise in zip(signals, (0.02, 0.9), strict=True)
        for _ in range(4)
    ]


def test_svcca_averages_over_the_smaller_number_of_components_as_its_authors_do():
    # Raghu et al. 2017, section 2.1: the sum of correlations over min(m1, m2); scipy's angles between the two spaces
    x, _, _, _, y, *_ = keeping_unequal_numbers()
    kept = []
    for a in (x, y):
        u, s, _ = np.linalg.svd(a - a.mean(axis=0), full_matrices=False)
        kept.append(u[:, : int(np.argmax(np.cumsum(s**2) / np.sum(s**2) >= 0.99)) + 1])
    assert kept[0].shape[1] < kept[1].shape[1] / 4
    expected = np.cos(scipy.linalg.subspace_angles(*kept))
    assert len(expected) == kept[0].shape[1]
    assert METRICS["svcca"](x, y) == pytest.approx(expected.mean(), abs=1e-10)


def test_unequal_numbers_of_components_are_warned_of_and_equal_ones_mend_it():
    xs = keeping_unequal_numbers()
    upper = np.triu_indices(4, 1)
    with pytest.warns(AkpsimWarning, match=r"svcca: 7 \(0\) to 5\d \(\d\) components are kept; .* at most 7") as said:
        unequal = akpsim.compare(xs, metric="svcca")
    assert json.loads(unequal.attrs["cautions"]) == [str(said[0].message)]
    assert unequal.values[:4, 4:].mean() > unequal.values[4:, 4:][upper].mean()  # between above within: by counts alone
    equal = akpsim.compare(xs, metric="svcca", components=7)
    assert "cautions" not in equal.attrs
    assert equal.values[:4, 4:].mean() < 0.3 < equal.values[4:, 4:][upper].mean()


@pytest.mark.parametrize("name", ["cca", "cca_squared", "svcca", "linear_regression", "eigenspace_overlap"])
def test_spaces_that_must_meet_are_warned_of(name):
    x, y = np.random.default_rng(0).normal(size=(2, 12, 8))  # 8 + 8 dimensions in 11, so that 5 coincide
    one, two, most = (x, y, 12) if name == "eigenspace_overlap" else (x - x.mean(axis=0), y - y.mean(axis=0), 11)
    rho = np.cos(scipy.linalg.subspace_angles(one, two))
    assert (rho > 1 - 1e-12).sum() == 16 - most
    says = f"8 of the second are more than the {most} that 12 samples have, so that {16 - most} coincide whatever"
    with pytest.warns(AkpsimWarning, match=says):
        METRICS[name](x, y, **({"variance": 1} if name == "svcca" else {}))


def test_most_samples_as_neighbours_are_warned_of():
    x, y = np.random.default_rng(0).normal(size=(2, 14, 5))
    with pytest.warns(AkpsimWarning, match="10 neighbours of 13 other samples: unrelated representations share 77%"):
        METRICS["mutual_knn"](x, y)


@pytest.mark.parametrize(("name", "more"), [("shape", {"alpha": 0}), ("eigenspace_overlap", {})])
def test_spaces_that_hold_everything_are_refused(name, more):
    x, y = np.random.default_rng(0).normal(size=(2, 8, 9))
    with pytest.raises(UndefinedMetric, match="span every response to 8 samples"):
        METRICS[name](x, y, **more)
