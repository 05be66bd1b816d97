from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from provisioning_core.model import Node, PlanGraph, StepStatus
from provisioning_core.model._drawing import SYMBOLS, to_dot, to_mermaid, to_svg, to_text
from provisioning_core.model._layout import BOX_HEIGHT, BOX_WIDTH, drawn_edges, lay_out

SVG = "{http://www.w3.org/2000/svg}"


def graph(edges: dict[str, list[str]], **options: object) -> PlanGraph:
    nodes = tuple(
        Node(name=name, needs=tuple(needs), description=str(options.get("description", ""))) for name, needs in edges.items()
    )
    return PlanGraph(plan="tenant", version="1", nodes=nodes)


DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c", "a"]}


def test_edges_that_a_path_says_already_are_not_drawn() -> None:
    assert drawn_edges(graph(DIAMOND)) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_boxes_do_not_overlap_and_edges_go_to_the_right() -> None:
    wide = {f"s{layer}-{number}": [f"s{layer - 1}-{(number * 7) % 9}"] if layer else [] for layer in range(6) for number in range(9)}
    layout = lay_out(graph(wide | {"end": ["s0-0", "s5-3"]}))
    places = list(layout.boxes.values())
    for index, (x, y) in enumerate(places):
        assert all(abs(x - ox) >= BOX_WIDTH or abs(y - oy) >= BOX_HEIGHT for ox, oy in places[index + 1 :])
        assert BOX_WIDTH / 2 <= x <= layout.width - BOX_WIDTH / 2
        assert BOX_HEIGHT / 2 <= y <= layout.height - BOX_HEIGHT / 2
    for points in layout.edges.values():
        assert [x for x, _ in points] == sorted({x for x, _ in points})


def test_the_svg_is_well_formed_and_has_every_step_and_edge() -> None:
    root = ET.fromstring(to_svg(graph(DIAMOND)))
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "plan tenant, version 1")
    assert [each.text for each in root.iter(f"{SVG}text")] == ["a", "b", "c", "d"]
    assert len([each for each in root.iter(f"{SVG}path") if each.attrib["class"] == "edge"]) == 4


def test_an_edge_that_passes_a_column_goes_straight_across_it() -> None:
    edges: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "x"], "x": ["c"], "side": ["a"], "end": ["side", "d"]}
    picture = graph({name: edges[name] for name in ("a", "b", "c", "x", "side", "d", "end")})
    layout = lay_out(picture)
    [long] = [points for (source, target), points in layout.edges.items() if (source, target) == ("side", "end")]
    drawn = next(each for each in to_svg(picture).splitlines() if f"M{long[0][0] + BOX_WIDTH / 2:.0f} {long[0][1]:.0f}C" in each)
    assert [float(x) for x in re.findall(r"H(\d+)", drawn)] == [x + BOX_WIDTH / 2 for x, _ in long[1:-1]]
    assert len(long) > 3
    for x, y in long[1:-1]:
        assert all(abs(x - bx) >= BOX_WIDTH or abs(y - by) > BOX_HEIGHT / 2 for bx, by in layout.boxes.values())


@pytest.mark.parametrize("status", list(StepStatus))
def test_every_status_is_a_symbol_and_a_word(status: StepStatus) -> None:
    one = graph({"only": []})
    word = status.value.lower().replace("_", " ")
    for picture in (to_svg(one, {"only": status}), to_text(one, {"only": status}), to_dot(one, {"only": status})):
        assert SYMBOLS[status] in picture
        assert word in picture
    assert word in to_mermaid(one, {"only": status})
    assert len(set(SYMBOLS.values())) == len(StepStatus)


@pytest.mark.parametrize(
    "nasty", ['"><script>alert(1)</script>', "a]]>b", "line\nbreak", "\u202eevil", "tab\there", '\\" quoted', "a\x1b[31mred"]
)
def test_nasty_texts_stay_inert(nasty: str) -> None:
    one = PlanGraph(plan=nasty, version="1", nodes=(Node(name=nasty, description=nasty), Node(name="b", needs=(nasty,))))
    root = ET.fromstring(to_svg(one))
    assert [each.tag for each in root.iter() if each.tag.endswith("script")] == []
    for picture in (to_svg(one), to_mermaid(one), to_dot(one), to_text(one)):
        assert "<script" not in picture or picture.startswith(("digraph", '"', nasty[:2]))
        assert "\x1b" not in picture
        assert "\u202e" not in picture
    assert len(to_mermaid(one).splitlines()) == 4
    assert len(to_dot(one).splitlines()) == 7


def test_long_names_are_shortened_and_whole_in_the_title() -> None:
    name = "x" * 80
    svg = to_svg(graph({name: []}))
    root = ET.fromstring(svg)
    assert [len(each.text or "") for each in root.iter(f"{SVG}text")] == [24]
    assert f"<title>{name}</title>" in svg


def test_the_text_reads_in_layers() -> None:
    assert to_text(graph(DIAMOND), {"a": StepStatus.SUCCEEDED}) == (
        "tenant (version 1)\n"
        "   1 ✓ a  succeeded\n"
        "   2 ○ b  pending               ← a\n"
        "     ○ c  pending               ← a\n"
        "   3 ○ d  pending               ← b, c, a\n"
    )


def test_the_mermaid_text_is_what_mermaid_wants() -> None:
    assert to_mermaid(graph({"a": [], "b": ["a"]})) == 'flowchart LR\n    a["a"]\n    b["b"]\n    a --> b\n'


def test_names_that_mermaid_would_misread_get_a_number() -> None:
    edges: dict[str, list[str]] = {"classify": [], "dns-record": ["classify"], "end": ["dns-record"], "_3": ["end"]}
    ids = ["_0", "_1", "_2", "_3"]
    lines = [f'    {each}["{name}"]' for each, name in zip(ids, edges, strict=True)]
    arrows = [f"    {one} --> {other}" for one, other in pairwise(ids)]
    assert to_mermaid(graph(edges)).splitlines() == ["flowchart LR", *lines, *arrows]


def test_a_thousand_steps_are_drawn_in_seconds_and_always_the_same() -> None:
    big = graph({f"s{number}": [f"s{number - back}" for back in (1, 7, 40) if number >= back] for number in range(1000)})
    begun = time.monotonic()
    assert to_svg(big) == to_svg(big)
    assert time.monotonic() - begun < 20
