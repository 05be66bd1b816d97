"""Pictures of a plan: Mermaid, DOT, SVG, and text for a terminal. A status is always a symbol and a word, never colour alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from itertools import pairwise

from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._layout import BOX_HEIGHT, BOX_WIDTH, Layout, Point, drawn_edges, lay_out
from provisioning_core.model._status import StepStatus
from provisioning_core.model._symbols import FAMILY, SYMBOLS

Statuses = Mapping[str, StepStatus] | None

_LONGEST = 24
_PLAIN_WORD = re.compile(
    r"(?!acc|call|class|click|default|direction|end|flowchart|graph|href|interpolate|linkStyle|style|subgraph)[A-Za-z][A-Za-z0-9_]*"
)
"""Mermaid reads its own words at the beginning of longer ones, too."""
_COLOURS: Mapping[str, tuple[str, str]] = {
    "idle": ("#f3f4f6", "#6b7280"),
    "busy": ("#dbeafe", "#1d4ed8"),
    "wait": ("#fef3c7", "#b45309"),
    "done": ("#dcfce7", "#15803d"),
    "bad": ("#fee2e2", "#b91c1c"),
    "undone": ("#ede9fe", "#6d28d9"),
}
_STYLE = """
.box{fill:#f3f4f6;stroke:#6b7280;stroke-width:1.5}.optional{stroke-dasharray:5 4}.pivot{stroke-width:3.5}
.edge{fill:none;stroke:#6b7280;stroke-width:1.4}.tip{fill:#6b7280}
text{font:13px system-ui,sans-serif;fill:#111827;text-anchor:middle}.small{font-size:11px;fill:#374151}
.busy{fill:#dbeafe;stroke:#1d4ed8}.wait{fill:#fef3c7;stroke:#b45309}.done{fill:#dcfce7;stroke:#15803d}
.bad{fill:#fee2e2;stroke:#b91c1c}.undone{fill:#ede9fe;stroke:#6d28d9}
@media (prefers-color-scheme:dark){text{fill:#f9fafb}.small{fill:#d1d5db}.box{fill:#1f2937;stroke:#9ca3af}.edge{stroke:#9ca3af}
.tip{fill:#9ca3af}.busy{fill:#1e3a8a;stroke:#93c5fd}.wait{fill:#78350f;stroke:#fcd34d}.done{fill:#14532d;stroke:#86efac}
.bad{fill:#7f1d1d;stroke:#fca5a5}.undone{fill:#4c1d95;stroke:#c4b5fd}}
""".strip()


# SVG


def to_svg(graph: PlanGraph, status: Statuses = None) -> str:
    """A picture that stands alone: no script, nothing from elsewhere, dark and light."""
    layout = lay_out(graph)
    title = escape(visible(f"plan {graph.plan}, version {graph.version}"))
    size = f'width="{layout.width:.0f}" height="{layout.height:.0f}" viewBox="0 0 {layout.width:.0f} {layout.height:.0f}"'
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" {size}>',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f'<defs>{tip}<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        *(_svg_edge(points) for points in layout.edges.values()),
        *(_svg_box(node, layout, _status(node, status)) for node in graph.nodes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _svg_edge(points: tuple[Point, ...]) -> str:
    """Curves in the gaps between columns; straight across a column, so that no box is crossed."""
    half = BOX_WIDTH / 2
    parts = [f"M{points[0][0] + half:.0f} {points[0][1]:.0f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (x1 + x2) / 2
        parts.append(f"C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2 - half:.0f} {y2:.0f}H{x2 + half:.0f}")
    parts[-1] = parts[-1].partition("H")[0]
    return f'<path class="edge" marker-end="url(#tip)" d="{"".join(parts)}"/>'


def _svg_box(node: Node, layout: Layout, status: StepStatus | None) -> str:
    x, y = layout.boxes[node.name]
    left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
    classes = ["box", FAMILY[status] if status else "", "optional" if node.optional else "", "pivot" if node.irreversible else ""]
    radius = BOX_HEIGHT / 2 if node.is_gate else 8
    shape = f'<rect class="{" ".join(filter(None, classes))}" x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH:.0f}" '
    below = f"{SYMBOLS[status]} {_word(status)}" if status else ", ".join(_traits(node))
    label_y = y - 4 if below else y + 5
    lines = [f'<text x="{x:.0f}" y="{label_y:.0f}">{escape(visible(short(node.name)))}</text>']
    if below:
        lines.append(f'<text class="small" x="{x:.0f}" y="{y + 15:.0f}">{escape(below)}</text>')
    title = escape(visible(_title(node, status)))
    return f'<g><title>{title}</title>{shape}height="{BOX_HEIGHT:.0f}" rx="{radius:.0f}"/>{"".join(lines)}</g>'


def _title(node: Node, status: StepStatus | None) -> str:
    parts = [node.name, *([_word(status)] if status else []), *_traits(node), node.description]
    return " · ".join(part for part in parts if part)


# Mermaid and DOT


def to_mermaid(graph: PlanGraph, status: Statuses = None) -> str:
    """A Mermaid flowchart from left to right."""
    lines = ["flowchart LR"]
    ids = {node.name: _mermaid_id(node.name, number) for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        open_, close = ("([", "])") if node.is_gate else ("[", "]")
        lines.append(f'    {ids[node.name]}{open_}"{_mermaid(_label(node, status))}"{close}')
    lines.extend(f"    {ids[source]} --> {ids[target]}" for source, target in drawn_edges(graph))
    if status is not None:
        lines.extend(f"    classDef {family} fill:{fill},stroke:{line},color:#111827" for family, (fill, line) in _COLOURS.items())
        lines.extend(f"    class {ids[node.name]} {FAMILY[_status(node, status) or StepStatus.PENDING]}" for node in graph.nodes)
    return "\n".join(lines) + "\n"


def _mermaid_id(name: str, number: int) -> str:
    """The name itself where Mermaid takes it as a plain word, so that edges can be read; else one that no plain name can be."""
    return name if _PLAIN_WORD.fullmatch(name) else f"_{number}"


def _mermaid(text: str) -> str:
    """Mermaid's own escapes are character codes."""
    return "".join(f"#{ord(sign)};" if sign in '"#<>&[](){}|;`\\' else sign for sign in visible(text))


def to_dot(graph: PlanGraph, status: Statuses = None) -> str:
    """The graph in Graphviz's language."""
    lines = [
        f"digraph {_quoted(graph.plan)} {{",
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled", fillcolor="#f3f4f6"];',
    ]
    for node in graph.nodes:
        now = _status(node, status)
        options = [f"label={_quoted(_label(node, status))}"]
        if node.is_gate:
            options.append("shape=oval")
        if now is not None:
            fill, line = _COLOURS[FAMILY[now]]
            options.append(f'fillcolor="{fill}", color="{line}"')
        if node.optional:
            options.append('style="rounded,filled,dashed"')
        lines.append(f"    {_quoted(node.name)} [{', '.join(options)}];")
    lines.extend(f"    {_quoted(source)} -> {_quoted(target)};" for source, target in drawn_edges(graph))
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    plain = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _label(node: Node, status: Statuses) -> str:
    now = _status(node, status)
    return node.name if now is None else f"{SYMBOLS[now]} {node.name}: {_word(now)}"


# text


def to_text(graph: PlanGraph, status: Statuses = None) -> str:
    """One line for each step, in layers; what it needs behind an arrow."""
    lines = [visible(f"{graph.plan} (version {graph.version})")]
    by_name = {node.name: node for node in graph.nodes}
    width = min(max((len(name) for name in by_name), default=0), 40)
    for number, layer in enumerate(graph.layers(), start=1):
        for position, name in enumerate(layer):
            head = f"{number:>4} " if position == 0 else "     "
            lines.append((head + _text_line(by_name[name], status, width)).rstrip())
    return "\n".join(lines) + "\n"


def _text_line(node: Node, status: Statuses, width: int) -> str:
    now = _status(node, status)
    symbol = SYMBOLS[now] if now else ("⧖" if node.is_gate else "•")
    words = f"  {_word(now):<20}" if now else ""
    needs = f"  ← {', '.join(node.needs)}" if node.needs else ""
    traits = f"  [{', '.join(_traits(node))}]" if _traits(node) else ""
    return visible(f"{symbol} {node.name:<{width}}{words}{needs}{traits}")


def _traits(node: Node) -> list[str]:
    known = (
        (node.is_gate, "gate"),
        (node.optional, "optional"),
        (node.conditional, "conditional"),
        (node.irreversible, "irreversible"),
        (node.retired, "no longer in the code"),
    )
    return [word for holds, word in known if holds]


def _status(node: Node, status: Statuses) -> StepStatus | None:
    return None if status is None else status.get(node.name, StepStatus.PENDING)


def _word(status: StepStatus) -> str:
    return status.value.lower().replace("_", " ")


def short(text: str, longest: int = _LONGEST) -> str:
    """Cut off where it is longer."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def visible(text: str) -> str:
    """Without control characters, and without those that turn the direction of what follows."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
