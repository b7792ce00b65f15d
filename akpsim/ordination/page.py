"""The reference page of the ordinations, made from the registry."""

from collections.abc import Iterable

from akpsim.ordination.ordination import Ordination

HEAD = """# Ordinations

Made from the registry by `akpsim.ordination.page.ordinations_page`; a test checks that it is current. No map on two
axes may be read for dispersion: for true spreads of 1 : 2 : 4, UMAP shows 1 : 1.07 : 1.10, t-SNE 1 : 2.0 : 2.5 and two
principal coordinates 1 : 2.1 : 6.3. Every map therefore prints the ratio of spreads in the full space beside its own;
tests use the full space ([method](method-statistics.md)).

*Linear* axes explain shares of the total, and new members can be placed on them with `akpsim.place`.

| name | what | starts from | linear | seed | source |
|---|---|---|---|---|---|
"""


def ordinations_page(ordinations: Iterable[Ordination]) -> str:
    """Return the page in Markdown."""
    rows = [
        f"| `{o.name}` | {o.summary} | {o.takes} | {'yes' if o.linear else 'no'} | {'yes' if o.random else 'no'} | "
        f"{o.source} |"
        for o in ordinations
    ]
    return HEAD + "\n".join(rows) + "\n"
