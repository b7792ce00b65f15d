"""The reference page of the metrics, made from the registry."""

from collections.abc import Iterable

from akpsim.metrics.metric import Metric

HEAD = """# Metrics

Made from the registry by `akpsim.metrics.page.metrics_page`; a test checks that it is current. How the values are
computed for all pairs, and their nulls and intervals: [method](method-metrics.md).

Write $X, Y$ for two representations (sample, neuron) of the same $n$ samples and $X_c, Y_c$ for these less their column
means. A *similarity* is larger the more alike they are, a *dissimilarity* smaller, and a *metric* is a dissimilarity
that obeys the triangle inequality. *Unchanged by* lists exactly those of translation (an offset a neuron), rotation,
permutation of neurons, scaling by a positive factor and invertible linear maps, of either representation, that leave
the value unchanged.

"""


def metrics_page(metrics: Iterable[Metric]) -> str:
    """Return the page in Markdown: a table of all metrics, then one section each."""
    metrics = list(metrics)
    rows = [f"| [`{m.name}`](#{m.name}) | {m.summary} | {m.kind} | {interval(m)} | {unchanged(m)} |" for m in metrics]
    table = ["| name | what | kind | range | unchanged by |", "|---|---|---|---|---|", *rows]
    return HEAD + "\n".join(table) + "\n\n" + "\n".join(section(metric) for metric in metrics)


def section(metric: Metric) -> str:
    """Return one metric's section."""
    facts = [
        f"{metric.kind}, {interval(metric)}",
        f"unchanged by {unchanged(metric)}",
        "symmetric" if metric.symmetric else "**not symmetric**",
        samples(metric),
        widths(metric),
    ]
    if metric.cosine:
        facts.append("the cosine of an angle, so that sqrt(2 - 2 s) is a Euclidean distance")
    if metric.data == "outputs":
        facts.append("of outputs (sample, class)")
    lines = [
        f"## {metric.name}",
        "",
        f"{metric.summary[0].upper()}{metric.summary[1:]}.",
        "",
        f"$${metric.formula}$$",
        "",
        *(f"- {fact}" for fact in facts),
        *(f"- `{name} = {_value(p.default)}`: {p.about}; {p.says}" for name, p in metric.parameters.items()),
        f"- source: {metric.source}",
        f"- not to be confused: {metric.beware}",
        "",
    ]
    return "\n".join(lines)


def fewest(metric: Metric) -> tuple[int, str | None]:
    """Return the fewest samples that a metric needs at its defaults, and the parameter that asks for them."""
    defaults = {name: parameter.default for name, parameter in metric.parameters.items()}
    asked = {"k": defaults.get("k", 0) + 2, "folds": 2 * defaults.get("folds", 0)}
    name = max((name for name in asked if name in defaults), key=lambda name: asked[name], default=None)
    return (asked[name], name) if name is not None and asked[name] > metric.smallest else (metric.smallest, None)


def samples(metric: Metric) -> str:
    """Return in words how many samples a metric needs."""
    count, name = fewest(metric)
    words = f"at least {count} sample{'s' if count > 1 else ''}"
    return words if name is None else f"{words} at the default `{name}`, and {metric.smallest} at any"


def widths(metric: Metric) -> str:
    """Return in words which numbers of columns go together."""
    what = "columns" if metric.data == "outputs" else "neurons"
    if "match" in metric.parameters:
        return f"equal numbers of {what} with `match = identity`, else any"
    return f"{'equal' if metric.widths == 'equal' else 'any'} numbers of {what}"


def interval(metric: Metric) -> str:
    """Return the range in words."""
    low, high = (f"{end:.4g}".replace("inf", "infinity") for end in metric.range)
    return f"{low} to {high}"


def unchanged(metric: Metric) -> str:
    """Return the invariances in words, in a fixed order."""
    order = ("translation", "rotation", "permutation", "scaling", "linear")
    return ", ".join(name for name in order if name in metric.invariant_to) or "none of these"


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)
