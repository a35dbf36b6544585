"""Quality against speed as a drawing in SVG that stands in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ragdoll.evaluation.evaluate import Evaluation
from ragdoll.evaluation.systems import Kind

_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 20, 52
_LINE = 17  # between two lines of text

# The width of a letter of a label, roughly.
_LETTER = 7
_MAX_LABEL = 40

# Each kind has a sign of its own, so that it can be told without its colour; drawn around 0, 0.
_SIGNS: dict[Kind, str] = {
    "distillate": "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0z",
    "model": "M-6,-6h12v12h-12z",
    "bm25": "M0,-7l7,13h-14z",
    "hybrid": "M0,-8l8,8l-8,8l-8,-8z",
    "teacher": "M-2,-7h4v5h5v4h-5v5h-4v-5h-5v-4h5z",
}


@dataclass(frozen=True, slots=True)
class _Point:
    """A system in the drawing: its place, its kind and its label."""

    x: float
    y: float
    kind: Kind
    label: str


@dataclass(frozen=True, slots=True)
class _Axis:
    """A linear map from values to places in the drawing."""

    low: float
    high: float
    begin: float
    end: float
    ticks: list[float]

    def __call__(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def chart(result: Evaluation) -> str:
    """Draw every system by its queries a second (in powers of ten) and its nDCG.

    Names are beside the points and are moved apart where they would overlap. A description serves
    those who do not see the drawing. Colours are variables of the page.
    """
    speeds = [math.log10(max(system.queries_per_second, 0.1)) for system in result.systems]
    across = _powers(speeds)
    up = _steps([system.ndcg for system in result.systems])
    points = [
        _Point(across(speed), up(system.ndcg), system.kind, _short(system.name))
        for speed, system in zip(speeds, result.systems, strict=True)
    ]
    described = "; ".join(
        f"{system.name}: {system.ndcg:.4f} at {system.queries_per_second:,.0f} queries a second"
        for system in result.systems
    )
    return f"""<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="what which">
<title id="what">nDCG@{result.k} against queries a second</title>
<desc id="which">{text(described)}</desc>
{_grid(across, up, result.k)}
{_marks(points)}
</svg>"""


def _powers(values: Sequence[float]) -> _Axis:
    low = math.floor(min(values, default=0) - 0.1)
    high = max(math.ceil(max(values, default=1) + 0.1), low + 1)
    ticks = [float(power) for power in range(low, high + 1)]
    return _Axis(low, high, _LEFT, _WIDTH - _RIGHT, ticks)


def _steps(values: Sequence[float]) -> _Axis:
    """Return an axis around the values with about five round steps; it need not begin at 0."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max(high - low, 0.02)
    step = next((size for size in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if room / size <= 6), 0.5)
    first, last = math.floor(low / step - 0.3), math.ceil(high / step + 0.3)
    ticks = [number * step for number in range(first, last + 1)]
    return _Axis(ticks[0], ticks[-1], _HEIGHT - _BOTTOM, _TOP, ticks)


def _grid(across: _Axis, up: _Axis, k: int) -> str:
    lines = []
    for tick in across.ticks:
        x = f"{across(tick):.1f}"
        lines.append(f'<path d="M{x},{_TOP}V{_HEIGHT - _BOTTOM}" stroke="var(--line)"/>')
        label = f"{10**tick:,.0f}" if tick >= 0 else f"{10**tick:g}"
        lines.append(_label(x, _HEIGHT - _BOTTOM + _LINE + 3, "middle", label))
    for tick in up.ticks:
        y = f"{up(tick):.1f}"
        lines.append(f'<path d="M{_LEFT},{y}H{_WIDTH - _RIGHT}" stroke="var(--line)"/>')
        lines.append(_label(_LEFT - 8, f"{up(tick) + 4:.1f}", "end", f"{tick:.3g}"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    lines.append(_label(middle, _HEIGHT - 8, "middle", "queries a second"))
    centre = (_TOP + _HEIGHT - _BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {centre})"'
    lines.append(_label(14, centre, "middle", f"nDCG@{k}", turned))
    return "\n".join(lines)


def _marks(points: Sequence[_Point]) -> str:
    taken = [(point.x - 9, point.y - 9, point.x + 9, point.y + 9) for point in points]
    drawn = []
    for point in sorted(points, key=lambda point: point.y):
        width = _LETTER * len(point.label)
        is_right = point.x + 14 + width <= _WIDTH - 4
        begin = point.x + 14 if is_right else point.x - 14 - width
        y = _free(begin, begin + width, point.y, taken)
        taken.append((begin, y - _LINE / 2, begin + width, y + _LINE / 2))
        colour = f"var(--{point.kind})"
        anchor, x = ("start", point.x + 14) if is_right else ("end", point.x - 14)
        sign = f'<path d="{_SIGNS[point.kind]}" transform="translate({point.x:.1f} {point.y:.1f})"'
        drawn.append(f'{sign} fill="{colour}"/>')
        if abs(y - point.y) > _LINE / 2:
            line = f"M{point.x:.1f},{point.y:.1f}L{x:.1f},{y:.1f}"
            drawn.append(f'<path d="{line}" stroke="{colour}" stroke-width="1"/>')
        drawn.append(_label(f"{x:.1f}", f"{y + 4:.1f}", anchor, point.label, f'fill="{colour}"'))
    return "\n".join(drawn)


def _free(
    left: float, right: float, height: float, taken: Sequence[tuple[float, float, float, float]]
) -> float:
    """Return the height nearest to ``height`` where a label hides nothing, or else ``height``."""
    half = _LINE / 2
    heights = [height + sign * offset for offset in range(0, _HEIGHT, 3) for sign in (1, -1)]
    for y in heights:
        inside = _TOP <= y <= _HEIGHT - _BOTTOM
        if inside and not any(
            left < box[2] and box[0] < right and y - half < box[3] and box[1] < y + half
            for box in taken
        ):
            return y
    return height


def _label(x: object, y: object, anchor: str, content: str, more: str = "") -> str:
    colour = "" if "fill=" in more else ' fill="var(--faint)"'
    extra = f" {more}" if more else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{colour}{extra}>{text(content)}</text>'


def _short(name: str) -> str:
    """Return the end of a long name, which tells models apart."""
    return name if len(name) <= _MAX_LABEL else "…" + name[1 - _MAX_LABEL :]


def text(value: str) -> str:
    """Escape a text for a page, so that nothing of it is markup; see ``visible``."""
    return escape(visible(value))


def visible(value: str) -> str:
    """Replace invisible characters by �: controls, and marks that turn the direction of text."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in value)
