"""`akpsim fit-lv`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import InvalidData, unknown_name

from .arguments import Json, Layer, Out
from .matrices import plain

Table = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN | TABLE.csv | POPULATIONS.nc",
        help="A run folder, a table of times and populations, or saved populations. Default: the newest run in ./runs.",
        show_default=False,
    ),
]

DISAGREE = 1e-3
"""Sums of squares that differ by a larger share are of different optima."""
RESAMPLES = 99
"""Trajectories drawn for the band of a single fit."""


def fit_lv(
    source: Table = None,
    definition: Annotated[
        str | None,
        typer.Option(
            help="Populations of a run: clusters (the default), weight_mass, class_selective, active_share.",
            show_default=False,
        ),
    ] = None,
    species: Annotated[int, typer.Option(min=1, help="Number of populations.")] = 2,
    model: Annotated[
        str | None,
        typer.Option(
            help="See `akpsim list models`. By default lotka_volterra for 2, logistic for 1, else generalized.",
            show_default=False,
        ),
    ] = None,
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
    by: Annotated[
        str | None, typer.Option(help="Coordinate that groups members; default: stress.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Scatters starts.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Fit prey and predator to neuron populations, and say whether it is Lotka-Volterra at all.

    A fit that would mean nothing is refused, with the reason beside its numbers. One trajectory is saved with
    its comparison of models (-models.nc) and, with --profile, its profiles (-profile.nc); `akpsim plot` draws each.

    Examples:

        akpsim fit-lv runs/digits --definition clusters --by stress

        akpsim fit-lv runs/digits --species 3 --model competitive

        akpsim fit-lv data/lynx_hare.csv --profile -o lynx.nc
    """
    model = model or {1: "logistic", 2: "lotka_volterra"}.get(species, "generalized")
    if model not in akpsim.FORMS:
        raise unknown_name("form of dynamics", model, akpsim.FORMS)
    table = source is not None and (source.is_file() or source.suffix.lower() in (".csv", ".nc"))
    _refuse(f"a {'run' if table else 'table'}, and this is none",
            {"columns": columns} if not table else {"definition": definition, "layer": layer})  # fmt: skip
    if model != "lotka_volterra":
        _refuse(f"lotka_volterra, not to {model}", {"prey": prey, "profile": profile, "segments": segments})
    fit_options: dict[str, Any] = {"noise": noise, "starts": starts, "seed": seed}
    if model == "lotka_volterra":
        fit_options |= {"prey": prey, "interval": "profile" if profile else "fisher"}
    if table and source is not None:
        populations = akpsim.read_trajectory(source, columns=columns.split(",") if columns else None)
        named = Path("fit-lv.nc")
    else:
        run = akpsim.open_run(source)
        definition = definition or "clusters"
        populations = akpsim.populations(run, definition=definition, count=species, layer=layer, seed=seed)
        form = "" if model == "lotka_volterra" else f"-{model}-{species}"
        name = f"fit-lv-{definition}-{populations.attrs['layer']}{form}".replace("/", "_")
        named = Path(run.path) / "analysis" / f"{name}.nc"
    if populations.sizes["population"] != species:
        count, names = populations.sizes["population"], ", ".join(map(str, populations.population.values))
        raise InvalidData(
            f"--species {species} needs {species} populations, the table has {count} ({names}): choose with "
            f"--columns, or --species {count}"
        )
    many = "member" in populations.dims
    if not many or member is not None:
        _refuse("a table over members, and this is one trajectory", {"by": by} | ({} if many else {"member": member}))
    if segments and ("swaps" not in populations.coords or member is None):
        raise InvalidData("--segments takes one member of a run: name it with --member")
    if many and member is None:
        _members(populations, model, {"by": by or "stress", **fit_options}, out or named, as_json)
        return
    if many:
        if member not in populations.member.values:
            raise unknown_name("member", str(member), list(map(str, populations.member.values)))
        populations = populations.sel(member=member).dropna("time", how="all")
        named = named.with_name(f"{named.stem}-{member}{'-segments' * segments}.nc")
    if segments:
        options = {"prey": prey, "starts": starts, "seed": seed}
        _segments(populations, json.loads(str(populations.swaps.values)), options, out or named, as_json)
        return
    _one(populations.drop_vars("swaps", errors="ignore"), model, fit_options, out or named, as_json)


def _refuse(belongs: str, options: dict[str, Any]) -> None:
    """Refuse options that would not be used."""
    for name, value in options.items():
        if value:
            raise InvalidData(f"--{name} belongs to {belongs}")


def _members(populations: Any, model: str, options: dict[str, Any], path: Path, as_json: bool) -> None:
    """Fit every member, save the table and print it."""
    found = akpsim.fit_members(populations, model=model, show_progress=not as_json, **options)
    akpsim.save(found, path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    what = found.attrs.get("definition", "populations as in the table")
    where = f" of {found.attrs['layer']}" if "layer" in found.attrs else ""
    typer.echo("\n".join([f"{path}: {model} of {what}{where}", *_member_lines(found)]))


def _one(trajectory: Any, model: str, fit_options: dict[str, Any], path: Path, as_json: bool) -> None:
    """Fit one trajectory, judge it, save and print."""
    if model == "lotka_volterra":
        found = akpsim.fit_lotka_volterra(None, trajectory, strict=False, **fit_options)
        lines = [f"{path}: prey {found.prey.item()}, {fit_options['noise']} noise, n = {int(found.n)}", *_rates(found)]
    else:
        found = akpsim.fit_dynamics(model, None, trajectory, strict=False, **fit_options)
        lines = [f"{path}: {model} of {_count(trajectory)}, n = {int(found.n)}"]
        rows = zip(
            found.rate.values, found.value.values, found.value_lower.values, found.value_upper.values, strict=True
        )
        lines += [f"{name:10} {value:.4g}  {_interval(found, low, high)}" for name, value, low, high in rows]
    lines += [_said(text) for text in json.loads(found.attrs["warnings"])]
    if model == "lotka_volterra" and not bool(found.refused):
        drawn = akpsim.bootstrap_lotka_volterra(found, resamples=RESAMPLES, seed=fit_options["seed"])
        found = found.assign(band_lower=drawn.band_lower, band_upper=drawn.band_upper, bootstrap_p=drawn.p)
        lines.append(
            f"does the curve leave more than noise? bootstrap p = {float(drawn.p):.3g} (smallest possible "
            f"{float(drawn.smallest_p):.3g}); a small p speaks against the model"
        )
        if fit_options["interval"] == "profile":
            akpsim.save(akpsim.profile_lotka_volterra(found), path.with_name(f"{path.stem}-profile.nc"))
    if bool((trajectory == 0).any()):
        # Models compare by densities of logs, which zeros do not have.
        found = found.assign_attrs(verdict="none: models are compared by the likelihood of logs, and there are zeros")
    else:
        found, table = _compared(found, trajectory, model, fit_options, path)
        lines += ["", *table]
    akpsim.save(found, path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    typer.echo("\n".join([*lines, "", f"verdict: {found.attrs['verdict']}"]))


def _count(trajectory: Any) -> str:
    number = trajectory.sizes["population"]
    return f"{number} population{'s' * (number > 1)}"


def _said(finding: str) -> str:
    """Return a finding as it is printed: an error refuses the fit, a doubt only warns."""
    name, text = finding.split(": ", 1)
    return f"warning: {text}" if name == "DoubtfulFit" else f"refused, {name}: {text}"


def _compared(
    found: Any, trajectory: Any, model: str, fit_options: dict[str, Any], path: Path
) -> tuple[Any, list[str]]:
    """Compare the models of a trajectory, save that, and add it to the fit."""
    options = {key: value for key, value in fit_options.items() if key in ("prey", "starts", "seed")}
    choice = akpsim.select_dynamics(None, trajectory, model=model, **options)
    akpsim.save(choice, path.with_name(f"{path.stem}-models.nc"))
    table = choice[["bic", "aicc", "log_likelihood", "forecast_error", "skill", "weight", "parameters"]]
    found = found.assign({f"model_{name}": table[name] for name in table.data_vars})
    order = choice.bic.values.argsort()
    rows = [choice[name].values[order] for name in ("model", "bic", "aicc", "skill")]
    lines = [
        f"{name:15} BIC {bic:9.2f}  AICc {aicc:9.2f}  forecast skill {_skill(skill)}"
        for name, bic, aicc, skill in zip(*rows, strict=True)
    ]
    if fit_options["noise"] != "lognormal":
        lines.append(f"(models are compared by log-normal noise, the fit above is by {fit_options['noise']} noise)")
    verdict, best = choice.attrs["verdict"], choice.attrs["best"]
    if fit_options["noise"] == "lognormal" and model in choice.model.values:
        ours, theirs = float(found.sse), float(choice.sse.sel(model=model))
        if abs(ours - theirs) > DISAGREE * min(ours, theirs) + 1e-9 * int(found.n):
            best = ""
            verdict = (
                f"none: the fit and the comparison ended in different optima of {model} (sums of squares {ours:.5g}, "
                f"{theirs:.5g}); more --starts may find the better one twice"
            )
    return found.assign_attrs(verdict=verdict, best=best), lines


def _skill(skill: float) -> str:
    return f"{skill:6.2f}" if skill > -1e3 else "explodes"


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
    kind = found.attrs["interval"]
    level = f"{float(found.attrs['level']):.0%} {kind} interval"
    # What is derived from the rates has no profile.
    last = "; fisher" if kind == "profile" and not bool(found.refused) else ""
    lines = [
        f"{name:15} {value:.5g}  {_interval(found, low, high)}{last * (name in names[6:])}"
        for name in names
        for value, low, high in [[float(found[f"{name}{end}"]) for end in ("", "_lower", "_upper")]]
    ]
    return [f"{'':15} estimate  [{level}]", *lines, f"{'R2 (logs)':15} {float(found.r2):.3f} (no verdict: see below)"]


def _interval(found: Any, low: float, high: float) -> str:
    return "(refused: no estimate)" if bool(found.refused) else f"[{low:.4g}, {high:.4g}]"


def _member_lines(found: Any) -> list[str]:
    names = found.attrs["parameters"].split()
    lines = [f"{'member':24} {'chosen':15} {', '.join(names)}  (or why there is no fit)"]
    for index, name in enumerate(found.member.values):
        rates = ", ".join(f"{float(found[key][index]):.3g}" for key in names)
        problem = str(found.problem.values[index]).split(":")[0] if bool(found.refused[index]) else ""
        said = f"{rates}" if not problem else problem + ("" if bool(found.n[index].isnull()) else f" ({rates})")
        lines.append(f"{name:24} {found.best.values[index] or '-':15} {said}")
    lines.append("")
    for index, group in enumerate(found.group.values):
        fitted, whole = int(found.group_fitted[index]), int(found.group_n[index])
        lines.append(
            f"{group}: {fitted} of {whole} members could be fitted; {found.attrs['model']} was chosen for "
            f"{int(found.group_chosen[index])}"
        )
        lines += [f"    {name:12} {_mean(found, name, index)}" for name in names if fitted]
    lines += _reasons(found)
    return [*lines, "", f"verdict: {found.attrs['verdict']}"]


def _reasons(found: Any) -> list[str]:
    """Count why fits were refused: reasons that differ in their numbers alone are one, and one of them is quoted."""
    reasons: dict[str, list[tuple[str, str]]] = {}
    for member, text, refused in zip(found.member.values, found.problem.values, found.refused.values, strict=True):
        if refused:
            why = re.split(r"; (?=[A-Z][A-Za-z]+: )", str(text))[0]
            reasons.setdefault(re.sub(r"\d[\d.e+-]*", "#", why), []).append((str(member), why))
    lines = []
    for same in sorted(reasons.values(), key=len, reverse=True):
        name, why = same[0][1].split(": ", 1)
        example = f"for example {same[0][0]}" if len(same) > 1 else same[0][0]
        lines.append(f"{name}, {len(same)} of {len(found.member)}, {example}: {why}")
    return lines


def _mean(found: Any, name: str, index: int) -> str:
    value, low, high = (float(found[f"group_{name}{end}"][index]) for end in ("", "_lower", "_upper"))
    return f"{value:.3g}  [{low:.3g}, {high:.3g}]"
