r"""CKA with a radial basis function kernel, and the RV coefficient.

:math:`k(x_i, x_j) = \exp(-\|x_i - x_j\|^2 / (2 \sigma^2))`; then as linear CKA.  The bandwidth :math:`\sigma` is a
fraction of the median distance between different samples, so that the scale of a representation does not matter, or a
number of its own.
"""

import math
from collections.abc import Mapping
from typing import Any

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME, gram, unit_u_centred
from akpsim.metrics.distances import squared_distances, upper
from akpsim.metrics.metric import Array, Metric, Parameter, precise
from akpsim.metrics.products import precise_products, precise_unit

BANDWIDTH = {
    "fraction": Parameter(1.0, "bandwidth as a fraction of the median distance between different samples", low=1e-6),
    "sigma": Parameter(None, "bandwidth itself, which then is not relative to the data", low=1e-300),
}


def near_one(x: Array) -> tuple[Array, int]:
    """Return `x` over a power of two, and which, that brings its largest absolute value below one; exact."""
    xp = array_namespace(x)
    power = math.frexp(float(xp.max(xp.abs(x))))[1]
    half = power // 2  # two steps, as one factor might itself be out of range
    return x * 2.0**-half * 2.0 ** (half - power), power


def median(x: Array) -> Array:
    """Return the median of a vector as numpy defines it: the mean of the middle two of an even number."""
    xp = array_namespace(x)
    x = xp.sort(x)
    return (x[(x.shape[0] - 1) // 2] + x[x.shape[0] // 2]) / 2


def rbf(x: Array, name: str, *, fraction: float, sigma: float | None) -> Array:
    """Return the kernel matrix (sample, sample) less one, which centring takes off in any case.

    Raises
    ------
    UndefinedMetric
        If there is no bandwidth, or it makes all entries the same.
    """
    xp = array_namespace(x)
    x, power = near_one(precise(x))
    distance = squared_distances(x)
    pairs = upper(distance)
    if not bool(xp.any(pairs > 0)):
        raise UndefinedMetric(f"{name} is undefined: {SAME}")
    width = fraction * float(median(pairs**0.5)) if sigma is None else math.ldexp(sigma, -power)
    if width == 0 and sigma is None:
        raise UndefinedMetric(f"{name} is undefined: more than half of all pairs of samples have the same response")
    # Beyond a thousand bandwidths the kernel is zero to the last digit: no need to let squares overflow.
    apart = xp.minimum(distance**0.5 / max(width, 1e-300), 1e3 * xp.ones_like(distance))
    kernel = xp.expm1(apart * apart / -2)
    pairs = upper(kernel)
    if bool(xp.all(pairs == 0)) or bool(xp.all(pairs == -1)):
        width = math.ldexp(width, power) if sigma is None else sigma
        raise UndefinedMetric(f"{name} is undefined: the bandwidth {width:g} makes all pairs of samples equally alike")
    return kernel


def unit_rbf(x: Array, *, fraction: float, sigma: float | None) -> Array:
    """Return the centred kernel matrix of a representation as a vector of unit length."""
    xp = array_namespace(x)
    k = rbf(x, "cka_rbf", fraction=fraction, sigma=sigma)
    rows = xp.mean(k, axis=0)
    k = k - rows[:, None] - rows[None, :] + xp.mean(rows)
    return precise_unit(xp.reshape(k, (-1,)), f"cka_rbf is undefined: {SAME}")


def unit_rbf_debiased(x: Array, *, fraction: float, sigma: float | None) -> Array:
    """Return the U-centred kernel matrix of a representation as a vector of unit length."""
    return unit_u_centred(rbf(x, "cka_rbf_debiased", fraction=fraction, sigma=sigma), "cka_rbf_debiased")


def unit_rv(x: Array, *, modified: bool) -> Array:
    """Return the centred Gram matrix, without its diagonal if `modified`, as a vector of unit length."""
    xp = array_namespace(x)
    k = gram(x, "rv")
    if modified:
        k = k * (1 - xp.eye(k.shape[0], dtype=k.dtype, device=k.device))
    return precise_unit(
        xp.reshape(k, (-1,)), "rv is undefined: no two different samples have a product other than zero"
    )


def _with_sigma(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a bandwidth that is not relative to the data changes in the declarations."""
    unit_free = frozenset({"translation", "rotation", "permutation"})
    return {} if arguments["sigma"] is None else {"invariant_to": unit_free}


def _modified(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what leaving out the diagonal changes: the plain form is cka, and is computed as that."""
    return {"products": None} if arguments["modified"] else {}


cka_rbf = Metric(
    name="cka_rbf",
    summary="centred kernel alignment with a radial basis function kernel, biased",
    embed=unit_rbf,
    score=precise_products,
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(0, 1),
    formula=r"\frac{\langle H K H, H L H \rangle_F}{\|H K H\|_F \, \|H L H\|_F}, \quad"
    r" K_{ij} = \exp\left(-\frac{\|x_i - x_j\|^2}{2 \sigma^2}\right)",
    source="Kornblith et al. 2019, ICML, sections 3 and 4",
    beware="with an absolute `sigma` it depends on the scale; codes that take the median of squared distances, or of "
    "distances with the zeros of the diagonal, have another bandwidth",
    smallest=3,
    cosine=True,
    parameters=BANDWIDTH,
    varies=_with_sigma,
)

cka_rbf_debiased = Metric(
    name="cka_rbf_debiased",
    summary="centred kernel alignment with a radial basis function kernel, debiased by HSIC_1",
    embed=unit_rbf_debiased,
    score=precise_products,
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{\langle K^*, L^* \rangle_F}{\|K^*\|_F \, \|L^*\|_F}, \quad K^* \text{ the U-centred kernel matrix}",
    source="Song et al. 2012, JMLR 13, section 2.3; kernel of Kornblith et al. 2019, section 3",
    beware="see cka_rbf for the bandwidth, cka_debiased for negative values",
    smallest=4,
    cosine=True,
    parameters=BANDWIDTH,
    varies=_with_sigma,
)

rv = Metric(
    name="rv",
    summary="RV coefficient, or its modified form without diagonals",
    embed=unit_rv,
    score=precise_products,
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{\mathrm{tr}(X_c X_c^\top Y_c Y_c^\top)}{\sqrt{\mathrm{tr}((X_c X_c^\top)^2) \,"
    r" \mathrm{tr}((Y_c Y_c^\top)^2)}}",
    source="Robert and Escoufier 1976, Applied Statistics 25; modified: Smilde et al. 2009, Bioinformatics 25",
    beware="equal to cka unless modified; the modified form drops diagonals without centring again, so that it is not "
    "cka_debiased",
    smallest=3,
    cosine=True,
    products="biased",
    varies=_modified,
    parameters={"modified": Parameter(False, "set the diagonals of both matrices to zero (RV2)")},
)
