r"""Permutational analysis of variance: location, in one or several terms.

The Gram matrix :math:`G` of the members is split by projections on the columns of each term, one after another:
:math:`SS_t = \mathrm{tr}(H_t G)`, :math:`F_t = (SS_t / df_t) / (SS_{res} / df_{res})`.  Members are permuted as wholes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.distances import gram, groups_of, varied
from akpsim.errors import InvalidData
from akpsim.karenina.centres import chunks
from akpsim.karenina.location import location_test, members_of
from akpsim.parallel import one_blas_thread
from akpsim.permutations import Seed, p_value, rearrangements
from akpsim.store import provenance


def permanova(
    dist: Any,
    by: str | Sequence[Any] | Mapping[str, Any],
    *,
    blocks: str | Sequence[Any] | None = None,
    permutations: int = 999,
    seed: Seed = None,
) -> xr.Dataset:
    """Test whether groups differ in location, assuming that they do not differ in spread.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str, sequence or mapping
        Groups; or several terms, taken one after another: ``"optimizer + stress + optimizer:stress"`` with the names
        of coordinates, or a mapping of names to labels.  A term of floating-point numbers, such as a dose, is one
        column.
    blocks : str or sequence, optional
        Members are permuted only inside a block (R's strata).
    permutations : int
        How many permutations, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``F``, ``R2``, ``p``: scalars for groups; along ``term``, with ``df`` and ``sum_of_squares``, for terms.

    Notes
    -----
    With groups of unequal size and spread it is wrong by design (false-positive rates up to .7): use `akpsim.wd_star`.

    References
    ----------
    Anderson (2001), "A new method for non-parametric multivariate analysis of variance"; McArdle and Anderson (2001).
    """
    if isinstance(by, Mapping) or (isinstance(by, str) and ("+" in by or ":" in by)):
        return _terms(dist, by, blocks, permutations, seed)
    members = members_of(dist, by, blocks, singletons=True)
    found = location_test("F", "permanova", members, members.values**2, f_from_sums, by, permutations, seed)
    n, k = len(members.codes), len(members.groups)
    f = float(found.F)
    return found.assign(R2=1.0 if np.isinf(f) else f * (k - 1) / (f * (k - 1) + n - k))


def f_from_sums(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the pseudo-F (relabeling,) from sums of squared distances over pairs of groups."""
    n, k = sizes.sum(), len(sizes)
    total = sums.sum(axis=(1, 2)) / (2 * n)
    within = (np.einsum("pgg->pg", sums) / (2 * sizes)).sum(axis=1)
    within = np.where(within <= 1e-12 * total, 0, within)  # sums of zeros that come as differences are rounded
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(((total - within) / (k - 1)) / (within / (n - k)))


def _terms(dist: Any, by: str | Mapping[str, Any], blocks: Any, permutations: int, seed: Seed) -> xr.Dataset:
    checked = varied(dist)
    n = checked.sizes["member"]
    if not by:
        raise InvalidData("`by` needs one term at least, got none")
    names, bases = _bases(_columns(checked, by), n)
    freedom = np.array([basis.shape[1] for basis in bases])
    residual = n - 1 - freedom.sum()
    if residual < 1:
        raise InvalidData(f"the terms take {freedom.sum()} degrees of freedom of {n - 1}: none is left for residuals")
    matrix = gram(checked.values)
    inside = None if blocks is None else groups_of(checked, blocks, name="blocks")
    drawn = rearrangements(n, permutations=permutations, blocks=inside, seed=seed)
    squares = np.stack([_squares(matrix, basis, np.arange(n)[None]) for basis in bases], axis=1)[0]
    permuted = np.stack([_squares(matrix, basis, drawn.codes) for basis in bases], axis=1)
    total = np.trace(matrix)

    def ratios(explained: np.ndarray) -> np.ndarray:
        left = (total - explained.sum(axis=-1, keepdims=True)) / residual
        return np.asarray(explained / freedom / left)

    return xr.Dataset(
        {
            "F": ("term", ratios(squares)),
            "R2": ("term", squares / total),
            "p": ("term", p_value(ratios(permuted), ratios(squares))),
            "df": ("term", freedom),
            "sum_of_squares": ("term", squares),
            "residual_df": residual,
            "residual_sum_of_squares": total - squares.sum(),
        },
        coords={"term": names},
        attrs=provenance(by=" + ".join(names)) | {"result": "permanova"} | drawn.attrs,
    )


def _columns(checked: xr.DataArray, by: str | Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the design columns of each term, an interaction as products of columns."""
    if isinstance(by, Mapping):
        return {str(name): _coded_columns(groups_of(checked, values, name=str(name))) for name, values in by.items()}
    found = {}
    for term in (part.strip() for part in by.split("+")):
        columns = np.ones((checked.sizes["member"], 1))
        for name in term.split(":"):
            own = _coded_columns(groups_of(checked, name.strip()))
            columns = (columns[:, :, None] * own[:, None, :]).reshape(len(own), -1)
        found[term] = columns
    return found


def _coded_columns(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind == "f":
        return labels[:, None]
    return np.asarray(labels[:, None] == np.unique(labels), dtype=np.float64)


def _bases(columns: dict[str, np.ndarray], n: int) -> tuple[list[str], list[np.ndarray]]:
    """Return an orthonormal basis of what each term adds to the constant and the terms before it."""
    known = np.full((n, 1), 1 / np.sqrt(n))
    bases = []
    for name, own in columns.items():
        rest = own - known @ (known.T @ own)
        left, size, _ = np.linalg.svd(rest, full_matrices=False)
        added = left[:, : int((size > 1e-9 * np.linalg.norm(own)).sum())]
        if not added.shape[1]:
            if not np.abs(own - own.mean(axis=0)).max() > 0:
                raise InvalidData(f"term {name!r} has one level only: nothing differs by it")
            raise InvalidData(f"term {name!r} adds nothing to the terms before it")
        bases.append(added)
        known = np.hstack([known, added])
    return list(columns), bases


def _squares(matrix: np.ndarray, basis: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the sum of squares that a basis explains of members in each order."""
    found = np.zeros(len(orders))
    with one_blas_thread():
        for rows in chunks(orders):
            for column in basis.T:
                moved = column[orders[rows]]
                found[rows] += np.einsum("pi,pi->p", moved @ matrix, moved)
    return found
