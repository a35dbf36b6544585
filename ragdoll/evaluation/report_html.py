"""A comparison as one page of HTML that needs nothing else: a chart, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence

from ragdoll.evaluation.chart import chart, text
from ragdoll.evaluation.evaluate import Evaluation
from ragdoll.wording import number_of

# Both colour schemes from one set of names; on paper, always the light one.
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


def page(
    result: Evaluation, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    """Lay out a comparison; ``rows`` are in the order of its systems.

    The page loads nothing and runs nothing, and forbids both, whatever the names in it hold.
    """
    name = text(result.dataset)
    best = max(range(len(rows)), key=lambda number: result.systems[number].ndcg, default=-1)
    head = "".join(f'<th scope="col">{text(heading)}</th>' for heading in headings)
    body = "\n".join(_row(row, number == best) for number, row in enumerate(rows))
    said = "\n".join(f"<p>{text(note)}</p>" for note in notes)
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
{said}
</div>
</main>
</body>
</html>
"""


def _row(row: Sequence[str], is_best: bool) -> str:
    first, *others = row
    values = "".join(f"<td>{text(cell)}</td>" for cell in others)
    mark = ' class="best"' if is_best else ""
    return f'<tr{mark}><th scope="row">{text(first)}</th>{values}</tr>'
