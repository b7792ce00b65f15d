"""`akpsim fit-lv`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import InvalidData

from .arguments import Json, Layer, Out
from .matrices import plain

Table = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN | TABLE.csv]",
        help="A run folder, or a table of times and populations. By default the newest run in ./runs.",
        show_default=False,
    ),
]

RESAMPLES = 99
"""Trajectories drawn for the band of a single fit."""


def fit_lv(
    source: Table = None,
    definition: Annotated[
        str, typer.Option(help="Populations of a run: clusters, weight_mass, class_selective, active_share.")
    ] = "clusters",
    species: Annotated[int, typer.Option(help="Number of populations; more than 2 fits the generalized system.")] = 2,
    columns: Annotated[str | None, typer.Option(help="Populations of a table: NAME,NAME.", show_default=False)] = None,
    layer: Layer = None,
    member: Annotated[
        str | None, typer.Option(help="One member of the run, looked at closely.", show_default=False)
    ] = None,
    prey: Annotated[str | None, typer.Option(help="Name of the prey; by default the fit decides.")] = None,
    noise: Annotated[str, typer.Option(help="lognormal, natural or poisson.")] = "lognormal",
    starts: Annotated[int, typer.Option(help="Starts of each fit.")] = 5,
    profile: Annotated[bool, typer.Option("--profile", help="Intervals by profile likelihood.")] = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="With --member: do its swaps change the dynamics?")
    ] = False,
    by: Annotated[str, typer.Option(help="Coordinate that groups members.")] = "stress",
    seed: Annotated[int, typer.Option(help="Scatters starts.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Fit prey and predator to neuron populations, and say whether it is Lotka-Volterra at all.

    One trajectory is saved with its comparison of models (-models.nc) and, with --profile, its profiles
    (-profile.nc); `akpsim plot` draws each.

    Examples:

        akpsim fit-lv runs/digits --definition clusters --by stress

        akpsim fit-lv data/lynx_hare.csv --profile -o lynx.nc
    """
    options: dict[str, Any] = {"prey": prey, "starts": starts, "seed": seed}
    fit_options = options | {"noise": noise, "interval": "profile" if profile else "fisher"}
    if source is not None and source.suffix.lower() == ".csv":
        trajectory = akpsim.read_trajectory(source, columns=columns.split(",") if columns else None)
        _one(trajectory, species, fit_options, options, out or Path("fit-lv.nc"), as_json)
        return
    run = akpsim.open_run(source)
    count = species if definition != "class_selective" else max(species, 2)
    populations = akpsim.populations(run, definition=definition, count=count, layer=layer, seed=seed)
    name = f"fit-lv-{definition}-{populations.attrs['layer']}".replace("/", "_")
    if member is not None:
        if member not in populations.member.values:
            raise InvalidData(f"{member!r} is no member of {run.path}; there are: {', '.join(run.names)}")
        one = populations.sel(member=member).dropna("time", how="all")
        path = out or Path(run.path) / "analysis" / f"{name}-{member}{'-segments' * segments}.nc"
        if segments:
            _segments(one, json.loads(str(one.swaps.values)), options, path, as_json)
            return
        _one(one.drop_vars("swaps"), species, fit_options, options, path, as_json)
        return
    if species != 2:
        raise InvalidData("--species other than 2 takes one trajectory: name it with --member, or give a table")
    found = akpsim.fit_members(populations, by=by, show_progress=not as_json, **fit_options)
    path = akpsim.save(found, out or Path(run.path) / "analysis" / f"{name}.nc")
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    typer.echo("\n".join([f"{path}: {definition} of {populations.attrs['layer']}", *_member_lines(found)]))


def _one(
    trajectory: Any, species: int, fit_options: dict[str, Any], options: dict[str, Any], path: Path, as_json: bool
) -> None:
    """Fit one trajectory, judge it, save and print."""
    if trajectory.sizes["population"] != species:
        names = ", ".join(map(str, trajectory.population.values))
        raise InvalidData(
            f"--species {species} needs {species} populations, the table has {trajectory.sizes['population']} "
            f"({names}): choose with --columns"
        )
    choice = akpsim.select_dynamics(None, trajectory, **options)
    if species == 2:
        found = akpsim.fit_lotka_volterra(None, trajectory, strict=False, **fit_options)
        lines = [f"{path}: prey {found.prey.item()}, {fit_options['noise']} noise, n = {int(found.n)}", *_rates(found)]
        lines += [f"warning: {text}" for text in json.loads(found.attrs["warnings"])]
        if not bool(found.refused):
            drawn = akpsim.bootstrap_lotka_volterra(found, resamples=RESAMPLES, seed=fit_options["seed"])
            found = found.assign(band_lower=drawn.band_lower, band_upper=drawn.band_upper, bootstrap_p=drawn.p)
            lines.append(
                f"bootstrap p of the sum of squares: {float(drawn.p):.3g} (smallest {float(drawn.smallest_p):.3g})"
            )
    else:
        keys = ("noise", "starts", "seed")
        kept = {key: fit_options[key] for key in keys}
        found = akpsim.fit_dynamics("generalized", None, trajectory, strict=False, **kept)
        lines = [f"{path}: generalized Lotka-Volterra of {species} populations, n = {int(found.n)}"]
        lines += [
            f"{name:10} {value:.4g}  [{low:.4g}, {high:.4g}]"
            for name, value, low, high in zip(
                found.rate.values, found.value.values, found.value_lower.values, found.value_upper.values, strict=True
            )
        ]
        lines += [f"warning: {text}" for text in json.loads(found.attrs["warnings"])]
    table = choice[["bic", "aicc", "log_likelihood", "forecast_error", "skill", "weight", "parameters"]]
    found = found.assign({f"model_{name}": table[name] for name in table.data_vars})
    found = found.assign_attrs(verdict=choice.attrs["verdict"], best=choice.attrs["best"])
    akpsim.save(found, path)
    akpsim.save(choice, path.with_name(f"{path.stem}-models.nc"))
    if species == 2 and fit_options["interval"] == "profile" and not bool(found.refused):
        akpsim.save(akpsim.profile_lotka_volterra(found), path.with_name(f"{path.stem}-profile.nc"))
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    order = choice.bic.values.argsort()
    lines += [""] + [
        f"{name:15} BIC {bic:9.2f}  AICc {aicc:9.2f}  forecast skill {skill:6.2f}"
        for name, bic, aicc, skill in zip(
            choice.model.values[order], choice.bic.values[order], choice.aicc.values[order], choice.skill.values[order],
            strict=True,
        )
    ]  # fmt: skip
    typer.echo("\n".join([*lines, "", f"verdict: {choice.attrs['verdict']}"]))


def _segments(one: Any, swaps: list[float], options: dict[str, Any], path: Path, as_json: bool) -> None:
    """Compare one course with restarts at the swaps, and with rates of their own between them."""
    found = akpsim.fit_segments(None, one.drop_vars("swaps"), breakpoints=swaps, **options)
    akpsim.save(found, path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    rows = zip(found.fit.values, found.bic.values, found.aicc.values, found.parameters.values, strict=True)
    lines = [f"{name:10} BIC {bic:9.2f}  AICc {aicc:9.2f}  {int(k)} parameters" for name, bic, aicc, k in rows]
    typer.echo("\n".join([f"{path}: {len(swaps)} swaps", *lines, f"best by BIC: {found.attrs['best']}"]))


def _rates(found: Any) -> list[str]:
    names = ("a", "b", "c", "d", "W1_0", "W2_0", "period", "W1_equilibrium", "W2_equilibrium")
    level = f"{float(found.attrs['level']):.0%} {found.attrs['interval']} interval"
    lines = [
        f"{name:15} {value:.5g}  [{low:.4g}, {high:.4g}]"
        for name in names
        for value, low, high in [[float(found[f"{name}{end}"]) for end in ("", "_lower", "_upper")]]
    ]
    return [f"{'':15} estimate  [{level}]", *lines, f"{'R2 (logs)':15} {float(found.r2):.3f} (no verdict: see below)"]


def _member_lines(found: Any) -> list[str]:
    lines = [f"{'member':24} {'chosen':15} a, b, c, d  (or why there is no fit)"]
    for index, name in enumerate(found.member.values):
        rates = ", ".join(f"{float(found[key][index]):.3g}" for key in "abcd")
        problem = str(found.problem.values[index]).split(":")[0] if bool(found.refused[index]) else ""
        said = f"{rates}" if not problem else f"{problem}" + ("" if "nan" in rates else f" ({rates})")
        lines.append(f"{name:24} {found.best.values[index] or '-':15} {said}")
    lines.append("")
    for index, group in enumerate(found.group.values):
        fitted, whole = int(found.group_fitted[index]), int(found.group_n[index])
        chosen = int(found.group_lotka_volterra[index])
        lines.append(
            f"{group}: {fitted} of {whole} members could be fitted; Lotka-Volterra was chosen for {chosen}"
            + (f"; a = {_mean(found, 'a', index)}, c = {_mean(found, 'c', index)}" if fitted else "")
        )
    reasons: dict[str, list[str]] = {}
    for text, refused in zip(found.problem.values, found.refused.values, strict=True):
        if refused:
            name, why = re.split(r"; (?=[A-Z][A-Za-z]+: )", str(text))[0].split(": ", 1)
            reasons.setdefault(name, []).append(why)
    lines += [f"{name}, {len(texts)} of {len(found.member)}: {texts[0]}" for name, texts in sorted(reasons.items())]
    return lines


def _mean(found: Any, name: str, index: int) -> str:
    value, low, high = (float(found[f"group_{name}{end}"][index]) for end in ("", "_lower", "_upper"))
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"
