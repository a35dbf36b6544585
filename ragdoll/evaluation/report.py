"""A comparison as a file to keep: CSV, Markdown, or one page of HTML with a chart."""

from __future__ import annotations

import csv
import io
from datetime import date
from importlib.metadata import version
from pathlib import Path

import ragdoll
from ragdoll.corpus.formats.markdown import escaped
from ragdoll.errors import UsageError, number_of
from ragdoll.evaluation.chart import chart, text, visible
from ragdoll.evaluation.evaluate import Evaluation, SystemScore
from ragdoll.files import atomic_write

_SUFFIXES = (".csv", ".md", ".html")

# The beginnings of a cell that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

# The figures depend on the versions of these libraries and of ragdoll.
_LIBRARIES = ("lancedb", "numpy", "tokenizers")

# Both colour schemes have the same names of colours; on paper the light one is used.
_STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --ink: #1c1c1e; --faint: #5b5b66; --line: #d6d6de;
  --distillate: #6b6b76; --model: #0b62c4; --bm25: #9a4a00; --hybrid: #00735c; --teacher: #8a2a8c }
@media screen and (prefers-color-scheme: dark) { :root {
  --ground: #17171a; --ink: #f1f1f4; --faint: #a9a9b6; --line: #3d3d47;
  --distillate: #b0b0bc; --model: #6cb0ff; --bm25: #ffab66; --hybrid: #4cd3b0;
  --teacher: #e79be9 } }
body { background: var(--ground); color: var(--ink); max-width: 56rem; margin: 2rem auto;
  padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; line-height: 1.25; overflow-wrap: anywhere }
figure { margin: 1.5rem 0 }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif }
figcaption, .notes { color: var(--faint); font-size: .9rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child, tbody th { text-align: left; overflow-wrap: anywhere }
tbody th { font-weight: normal }
tbody tr.best > * { font-weight: 600 }
"""


def check_output(path: Path) -> None:
    """Check, before any work, that a report can be written.

    Raises:
        UsageError: the suffix is not one of a report, or there can be no file of this path.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path} has an unknown format for a report; use {', '.join(_SUFFIXES)}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a report is a file.")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}.")


def write(path: Path, result: Evaluation, made_on: date) -> None:
    """Write a report in the format of its suffix, completely or not at all.

    Raises:
        UsageError: as ``check_output``.
        OSError: the file cannot be written.
    """
    check_output(path)
    layout = {".csv": _csv, ".md": _markdown, ".html": _page}[path.suffix.lower()]
    content = layout(result, made_on)
    with atomic_write(path) as aside:
        aside.write_bytes(content.encode("utf-8", "replace"))


def headings(k: int) -> list[str]:
    """Return the headings of the table: the system's name, then figures; see ``cells``."""
    measures = (f"nDCG@{k}", f"recall@{k}", f"MRR@{k}", "p")
    return ["system", *measures, "queries/s", "ms/query", "docs/s", "MB"]


def cells(system: SystemScore) -> list[str]:
    """Return one line of the table, under ``headings``; a figure that is not known is empty."""
    return [
        system.name,
        f"{system.ndcg:.4f}",
        f"{system.recall:.4f}",
        f"{system.mrr:.4f}",
        "" if system.p_value is None else f"{system.p_value:.4f}",
        f"{system.queries_per_second:,.0f}",
        f"{1000 * system.latency:,.1f}",
        "" if system.documents_per_second is None else f"{system.documents_per_second:,.0f}",
        f"{system.bytes / 1e6:,.0f}" if system.bytes else "",
    ]


def title(result: Evaluation) -> str:
    """Name the collection and its size."""
    of_parts = result.passages != result.documents
    passages = f" ({number_of('passage', result.passages)})" if of_parts else ""
    queries = number_of("query", result.queries, "queries")
    return f"{result.dataset}: {number_of('document', result.documents)}{passages}, {queries}"


def notes(result: Evaluation) -> list[str]:
    """Return the notes below the table."""
    lines = []
    if len(result.systems) > 1:
        lines.append(
            f"p: two-sided paired randomization test of nDCG@{result.k} against "
            f"{result.systems[0].name}; above 0.05 a difference may well be chance"
        )
    lines += [
        f"{system.name}: the vector weighs {system.alpha:.2f}, the words {1 - system.alpha:.2f}"
        for system in result.systems
        if system.alpha is not None
    ]
    return [*lines, *result.notes]


def origin(result: Evaluation, made_on: date) -> str:
    """Say when, and with which versions and seed, the figures were made."""
    versions = {"ragdoll": ragdoll.__version__, **{name: version(name) for name in _LIBRARIES}}
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{made_on.isoformat()}, seed {result.seed}; {listed}"


def _csv(result: Evaluation, _: date) -> str:
    """Write the figures without rounding, for a program."""
    k = result.k
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        "dataset documents queries seed name kind "
        f"ndcg@{k} recall@{k} mrr@{k} p_value queries_per_second "
        "milliseconds_per_query documents_per_second bytes alpha".split()
    )
    common = (_no_formula(result.dataset), result.documents, result.queries, result.seed)
    for system in result.systems:
        measures = (system.ndcg, system.recall, system.mrr, system.p_value)
        speeds = (system.queries_per_second, 1000 * system.latency, system.documents_per_second)
        others = (system.bytes or None, system.alpha)
        row = (*common, _no_formula(system.name), system.kind, *measures, *speeds, *others)
        writer.writerow(row)
    return out.getvalue()


def _no_formula(name: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would compute."""
    return f"'{visible(name)}" if name.startswith(_FORMULA) else visible(name)


def _markdown(result: Evaluation, made_on: date) -> str:
    names = headings(result.k)
    rows = [
        names,
        ["---", *["---:"] * (len(names) - 1)],
        *([escaped(cell) for cell in cells(system)] for system in result.systems),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    below = [*notes(result), origin(result, made_on)]
    return "\n\n".join([f"## {escaped(title(result))}", table, *map(escaped, below)]) + "\n"


def _page(result: Evaluation, made_on: date) -> str:
    """Lay out a comparison: a chart, and the table of its figures.

    The page loads nothing and runs nothing, and forbids both, whatever the names in it hold.
    """
    name = text(result.dataset)
    best = max(result.systems, key=lambda system: system.ndcg, default=None)
    head = "".join(f'<th scope="col">{text(heading)}</th>' for heading in headings(result.k))
    body = "\n".join(_row(system, system is best) for system in result.systems)
    below = "\n".join(f"<p>{text(note)}</p>" for note in [*notes(result), origin(result, made_on)])
    documents = number_of("document", result.documents)
    counted = f"{documents}, {number_of('query', result.queries, 'queries')}"
    caption = (
        f"Quality (nDCG@{result.k}, higher is better) against speed (queries answered a second, "
        "further right is faster). The table below has the same figures."
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Retrieval on {name}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Retrieval on {name}</h1>
<p>{counted}</p>
<figure>
{chart(result)}
<figcaption>{caption}</figcaption>
</figure>
<div class="scroll" role="region" aria-label="Table of results" tabindex="0">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
<div class="notes">
{below}
</div>
</main>
</body>
</html>
"""


def _row(system: SystemScore, is_best: bool) -> str:
    first, *others = cells(system)
    values = "".join(f"<td>{text(cell)}</td>" for cell in others)
    mark = ' class="best"' if is_best else ""
    return f'<tr{mark}><th scope="row">{text(first)}</th>{values}</tr>'
