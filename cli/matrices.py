"""Distances between members, from a run, a saved matrix or feature files."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import InvalidData, StoreError
from akpsim.tables import brief

from .arguments import representations_of, run_of

Matrix = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RUN | MATRIX | FILES...]",
        help="A run folder, a matrix saved by `akpsim compare`, your own distances (square .npy, .csv or .nc), or "
        "feature files. By default the newest run in ./runs.",
        show_default=False,
    ),
]
Metric = Annotated[str, typer.Option(help="See `akpsim list metrics`; not used for a saved matrix.")]
By = Annotated[str, typer.Option(help="Coordinate that groups the members: family, stress, optimizer ...")]
Blocks = Annotated[
    str | None,
    typer.Option(help="Coordinate inside which labels are permuted: seed, optimizer ...", show_default=False),
]
Permutations = Annotated[int, typer.Option(help="Random relabelings; all of them if at most 20,000 exist.")]
Groups = Annotated[
    Path | None,
    typer.Option(help="A .csv with the columns member and one a grouping, for `--by`.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Seed of the permutations.")]


def distances_of(
    sources: list[Path] | None, *, metric: str, layer: str | None, epoch: float, groups: Path | None = None
) -> tuple[Any, Any]:
    """Return distances between members without undefined ones, and the run they come from or None."""
    run = None
    saved = saved_matrix(sources)
    found = akpsim.as_distance(saved) if saved is not None else own_distances(sources)
    if found is None:
        representations, run = representations_of(sources, layer=layer, epoch=epoch), run_of(sources)
        found = akpsim.as_distance(akpsim.compare(representations, metric=metric))
    return without_undefined(found if groups is None else akpsim.read_groups(found, groups)), run


def own_distances(sources: list[Path] | None) -> Any:
    """Return the user's own distances, if that is what was named."""
    return akpsim.read_distances(sources[0]) if sources is not None and len(sources) == 1 else None


def distances_of_layers(sources: list[Path] | None, *, metric: str, epoch: float) -> tuple[dict[str, Any], Any]:
    """Return the distances at every layer of a run between members that have a value at all of them, and the run."""
    run = run_of(sources)
    if run is None:
        raise InvalidData("all layers are those of a run; name a run folder")
    found = {
        layer: without_undefined(akpsim.as_distance(akpsim.compare(run.representations(layer, epoch), metric=metric)))
        for layer in run.layers
    }
    everywhere = set.intersection(*(set(matrix["member"].values.tolist()) for matrix in found.values()))
    kept = [name for name in run.names if name in everywhere]
    return {layer: matrix.sel(member=kept, other=kept) for layer, matrix in found.items()}, run


def saved_matrix(sources: list[Path] | None) -> Any:
    """Return the matrix that `akpsim compare` saved, if that is what was named."""
    if sources is None or len(sources) != 1 or sources[0].suffix != ".nc":
        return None
    try:
        found = akpsim.open_result(sources[0])
    except StoreError:
        return None
    if found.attrs.get("result") == "similarity_over":
        raise InvalidData(f"{sources[0]} holds a matrix a {found.attrs['over']}; save one of them, or name the run")
    return found if found.attrs.get("result") in ("similarity", "distance") else None


def stacked(representations: Any) -> Any:
    """Return representations as one array (member, sample, neuron); refuse those of different shapes."""
    if not isinstance(representations, dict):
        return representations
    shapes = sorted({each.shape for each in representations.values()})
    if len(shapes) > 1:
        raise InvalidData(
            f"as many samples and neurons of each member are needed, got {shapes[0]} and {shapes[1]}; use pcoa"
        )
    import xarray as xr

    together = xr.concat(list(representations.values()), dim="member", join="override")
    return together.assign_coords(member=list(representations))


def without_undefined(distances: Any) -> Any:
    """Return distances without the members that have none, and warn of those on standard error."""
    defined = ~distances.isnull().all("other").values
    gone = [str(name) for name in distances["member"].values[~defined]]
    if gone:
        typer.echo(f"left out, without a value: {', '.join(gone)}", err=True)
    if defined.sum() < 2:
        raise InvalidData(f"{int(defined.sum())} member has a value, two at least are needed")
    return distances.isel(member=defined, other=defined)


def about(result: Any, sources: list[Path] | None = None) -> str:
    """Say what a result is about: where its members come from, layer, epoch, metric and how many they are."""
    scalars = [name for name in ("layer", "epoch") if name in result.coords and not result[name].dims]
    where = result.attrs.get("made_from") or " ".join(map(str, sources or []))
    told = [str(where), *(f"{name} {brief(result[name].item())}" for name in scalars), result.attrs.get("metric", "")]
    members = f", {result.sizes['member']} members" if "member" in result.sizes else ""
    return ", ".join(filter(None, told)) + members


def pooled(members: Any, by: str) -> list[str]:
    """Say which groups hold members of several families."""
    if by == "family" or not {"family", by} <= set(members.coords):
        return []
    held: dict[str, set[str]] = {}
    for group, family in zip(members[by].values, members["family"].values, strict=True):
        held.setdefault(str(group), set()).add(str(family))
    return [
        f"{group} holds {len(families)} families: what differs between them counts as well; "
        "`--by family` keeps them apart"
        for group, families in held.items()
        if len(families) > 1
    ]


def default_path(
    run: Any, kind: str, distances: Any, *more: str | None, sources: list[Path] | None = None, epoch: float = -1
) -> Path:
    """Return where a result goes that nobody named a place for: in the run's analysis, else here.

    The name says what tells one result from another: input, groups, blocks, layer, and epoch and metric if not usual.
    """
    scalar = {name: distances[name].item() for name in ("layer", "epoch") if name in distances.coords}
    metric = distances.attrs.get("metric", "cka")
    parts = [
        kind,
        sources[0].stem if run is None and sources and len(sources) == 1 else None,
        *more,
        scalar.get("layer"),
        f"epoch{scalar.get('epoch', epoch):g}" if epoch != -1 else None,
        None if metric == "cka" else metric,
    ]
    name = "-".join(str(part).replace("/", "_") for part in parts if part is not None)
    return Path() / f"{name}.nc" if run is None else Path(run.path) / "analysis" / f"{name}.nc"


def plain(result: Any) -> dict[str, Any]:
    """Return a result as plain values for JSON; what is not finite becomes null."""
    found: dict[str, Any] = {str(key): _value(value) for key, value in result.attrs.items()}
    for name, variable in {**result.coords, **result.data_vars}.items():
        found[str(name)] = _nested(variable.values.tolist())
    return found


def _nested(value: Any) -> Any:
    return [_nested(each) for each in value] if isinstance(value, list) else _value(value)


def _value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
