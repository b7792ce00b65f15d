r"""Centred kernel alignment (CKA), linear.

A representation :math:`X` is summarised by how alike it makes every pair of samples: its centred Gram matrix
:math:`K = X_c X_c^\top`.  Two representations are alike when their Gram matrices point the same way,
:math:`\langle K, L \rangle_F / (\|K\|_F \|L\|_F)`.

The debiased form takes U-centred matrices instead, :math:`K^*`: the diagonal is zero and every row sums to zero, so
that the inner product of two independent representations has mean zero.
"""

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.metric import Array, Metric, centred, scaled
from akpsim.metrics.products import precise_products, precise_unit

SAME = "all samples have the same response"
EVEN = "all pairs of samples are equally alike"


def gram(x: Array, name: str) -> Array:
    """Return the centred Gram matrix of a representation, up to a factor that avoids over- and underflow."""
    xp = array_namespace(x)
    x = scaled(centred(x))
    if not bool(xp.any(x != 0)):
        raise UndefinedMetric(f"{name} is undefined: {SAME}")
    return x @ x.T


def u_centred(k: Array, name: str) -> Array:
    r"""Return a kernel matrix with zero diagonal whose rows sum to zero.

    Székely and Rizzo (2014), "Partial distance correlation with methods for dissimilarities", section 2.1: off the
    diagonal :math:`k_{ij} - \frac{r_i + r_j}{n-2} + \frac{s}{(n-1)(n-2)}` with row sums r and sum s of the matrix
    whose diagonal was set to zero.  Its inner products are n (n - 3) times HSIC_1 of Song et al. (2012).
    """
    xp = array_namespace(k)
    n = k.shape[0]
    if n < 4:
        raise UndefinedMetric(f"{name} is undefined below 4 samples, got {n}")
    off = 1 - xp.eye(n, dtype=k.dtype, device=k.device)
    k = k * off
    rows = xp.sum(k, axis=1)
    return off * (k - (rows[:, None] + rows[None, :]) / (n - 2) + xp.sum(rows) / ((n - 1) * (n - 2)))


def unit_u_centred(k: Array, name: str) -> Array:
    """Return a U-centred kernel matrix as a vector of unit length; raise if it is zero to rounding."""
    xp = array_namespace(k)
    matrix = u_centred(k, name)
    least = 4 * k.shape[0] * float(xp.finfo(k.dtype).eps) * float(xp.linalg.matrix_norm(k))
    if float(xp.linalg.matrix_norm(matrix)) <= least:
        raise UndefinedMetric(f"{name} is undefined: {EVEN}")
    return precise_unit(xp.reshape(matrix, (-1,)), f"{name} is undefined: {EVEN}")


def unit_gram(x: Array) -> Array:
    """Return the centred Gram matrix of a representation as a vector of unit length.

    Parameters
    ----------
    x : array, shape (sample, neuron)
        Row ``i`` holds the activations in response to sample ``i``; numpy, or a torch tensor on any device.

    Returns
    -------
    array, shape (sample * sample,)
        Same library, device and precision as `x`.

    Raises
    ------
    UndefinedMetric
        If all samples have the same response, which leaves nothing to align.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton (2019), "Similarity of neural network representations revisited", ICML,
    sections 2 and 3.  This is the biased estimator; see `cka_debiased`.
    """
    xp = array_namespace(x)
    return precise_unit(xp.reshape(gram(x, "cka"), (-1,)), f"cka is undefined: {SAME}")


def unit_gram_debiased(x: Array) -> Array:
    """Return the U-centred Gram matrix of a representation as a vector of unit length.

    Parameters
    ----------
    x : array, shape (sample, neuron)
        As for `unit_gram`; at least 4 samples.

    Returns
    -------
    array, shape (sample * sample,)

    Raises
    ------
    UndefinedMetric
        If the U-centred matrix is zero, which leaves nothing to align.

    References
    ----------
    Song, Smola, Gretton, Bedo, Borgwardt (2012), "Feature selection via dependence maximization", JMLR 13, section
    2.3 (HSIC_1); Nguyen, Raghu, Kornblith (2021), "Do wide and deep networks learn the same things?", ICLR, section 2.
    """
    return unit_u_centred(gram(x, "cka_debiased"), "cka_debiased")


cka = Metric(
    name="cka",
    summary="centred kernel alignment, linear, biased",
    embed=unit_gram,
    score=precise_products,  # all pairs of points at once: one matrix product
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(0, 1),
    formula=r"\frac{\langle X_c X_c^\top, Y_c Y_c^\top \rangle_F}{\|X_c X_c^\top\|_F \, \|Y_c Y_c^\top\|_F}",
    source="Kornblith et al. 2019, ICML, sections 2-3",
    beware="far above 0 for independent data when neurons outnumber samples: see cka_debiased; equal to rv",
    smallest=2,
    cosine=True,
    products="biased",
)

cka_debiased = Metric(
    name="cka_debiased",
    summary="centred kernel alignment, linear, debiased by HSIC_1",
    embed=unit_gram_debiased,
    score=precise_products,
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{\langle K^*, L^* \rangle_F}{\|K^*\|_F \, \|L^*\|_F}, \quad K^* \text{ the U-centred } X X^\top",
    source="Song et al. 2012, JMLR 13, section 2.3; Nguyen et al. 2021, ICLR, section 2",
    beware="negative values are noise around 0 and are kept; the numerator alone is unbiased, the ratio nearly so",
    smallest=4,
    cosine=True,
    products="debiased",
)
