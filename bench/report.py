"""Turns results into tables of Markdown, for the terminal and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.contenders import CONTENDERS, Contender
from bench.environments import ROOT
from bench.statistics_of import Spread, ratio, spread
from bench.targets import judge
from bench.throughput import SLOW
from bench.workloads import TITLES, workload

PAGE = ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_OURS = {"memory": "ours-memory", "sqlite": "ours-sqlite", "postgres": "ours-postgres"}

Results = dict[str, Any]


def text(results: Results) -> str:
    """All tables that these results fill."""
    parts = (
        _head(results),
        _missing(results),
        _targets(results),
        _rates(results),
        _ratios(results),
        _efficiency(results),
        _counts(results),
        _waits(results),
        _memory(results),
        _scaling(results),
        _notes(results),
    )
    return "\n".join(part for part in parts if part) + "\n"


def write_page(results: Results, page: Path = PAGE) -> None:
    """Put the tables between the page's markers."""
    old = page.read_text(encoding="utf-8")
    before, _, rest = old.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{text(results)}\n{_END}{after}", encoding="utf-8")


def _head(results: Results) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.get("versions", {}).items()))
    postgres = f"PostgreSQL {machine['postgres']}" if machine["postgres"] else "no PostgreSQL"
    settings = ", ".join(f"{name} {value}" for name, value in (machine["postgres_settings"] or {}).items())
    return (
        f"Measured {results['began']} to {results.get('ended', '(not finished)')}, form `{results['form']}`, "
        f"{results['rounds']} rounds. {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, "
        f"Linux {machine['kernel']}, {machine['filesystem']}; "
        f"Python {machine['python']}, SQLite {machine['sqlite']}, {postgres} ({settings}); {versions}. "
        f"Load before: {machine['load_before']:.2f}.\n"
    )


def _missing(results: Results) -> str:
    """Loudly: what is not in the tables, and why."""
    found = []
    for name, kinds in results.get("throughput", {}).items():
        for seconds, cells in kinds.items():
            for key, cell in cells.items():
                if "missing" in cell:
                    found.append((key, f"{name}, steps of {1000 * float(seconds):g} ms", cell["missing"]))
    for part in ("counts", "first_step", "status", "resume"):
        for key, cell in _flat(results.get(part, {})):
            if "missing" in cell or "timeout" in cell:
                found.append((key, part, cell.get("missing") or f"took more than {cell['timeout']} s"))
    if not found:
        return "Nothing is missing from these tables.\n"
    grouped: dict[tuple[str, str], list[str]] = {}
    for key, where, why in found:
        grouped.setdefault((key, why), []).append(where)
    lines = [f"- **{_title(key)}**: {why} ({'; '.join(where)})" for (key, why), where in grouped.items()]
    return "**Missing**, and why:\n\n" + "\n".join(lines) + "\n"


def _flat(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in part.items():
        if key in TITLES:
            yield from value.items()
        else:
            yield key, value


def _targets(results: Results) -> str:
    words = {True: "yes", False: "**no**"}
    doubt = {True: "", False: ", but not in every round"}
    judged = judge(results)
    rows = [(each.target, each.reached, words[each.is_met] + doubt[each.is_sure]) for each in judged if each.is_met is not None]
    unknown = [each.target for each in judged if each.is_met is None]
    rest = f"\nNot measured this time: {'; '.join(unknown)}.\n" if unknown else ""
    return "### Targets\n\n" + (_table(("target", "reached", "met"), rows) if rows else "") + rest


def _rates(results: Results) -> str:
    cells = _cells(results, 0.0)
    if not cells:
        return ""
    names = list(cells)
    rows = [
        (contender.title, *(_rate(contender, name, cells[name].get(contender.key)) for name in names)) for contender in _known(cells)
    ]
    note = "\nMedian of the rounds (least–most). ¹ at a smaller size, since it would take too long: see the notes.\n"
    return "### Steps per second, steps that do nothing\n\n" + _table(("", *(TITLES[name] for name in names)), rows) + note


def _rate(contender: Contender, name: str, cell: dict[str, Any] | None) -> str:
    measured = spread(cell.get("rates")) if cell else None
    if cell is None or measured is None:
        return "missing" if cell and "missing" in cell else ""
    mark = " ¹" if contender.is_peer and cell["steps"] < workload(name).steps else ""
    return f"{measured.median:,.0f} ({measured.least:,.0f}–{measured.most:,.0f}){mark}"


def _ratios(results: Results) -> str:
    cells = _cells(results, 0.0)
    rows = []
    names = list(cells)
    for contender in _known(cells):
        ours = _OURS[contender.store if contender.store in _OURS else "sqlite"]
        if contender.key == ours:
            continue
        found = []
        for name in names:
            theirs = cells[name].get(contender.key) or (cells["chain"].get(contender.key) if _is_limit(contender, cells) else None)
            found.append(_times(ratio(cells[name].get(ours, {}).get("rates"), (theirs or {}).get("rates"))))
        if any(found):
            rows.append((contender.title, *found))
    if not rows:
        return ""
    return (
        "### This project as a multiple of each, same store, same rounds\n\n"
        + _table(("", *(TITLES[name] for name in names)), rows)
        + "\nThe bare limits are one commit, or one `submit`, for each step, one after the other. A group commit goes beyond that.\n"
    )


def _is_limit(contender: Contender, cells: dict[str, Any]) -> bool:
    return contender.key.startswith("limit") and "chain" in cells


def _efficiency(results: Results) -> str:
    cells = _cells(results, SLOW)
    if not cells:
        return ""
    names = list(cells)
    rows = []
    for contender in _known(cells):
        found = [spread(cells[name].get(contender.key, {}).get("efficiency")) for name in names]
        marks = [" ¹" if contender.is_peer and _is_smaller(cells[name].get(contender.key), name) else "" for name in names]
        shown = [
            f"{each.median:.2f} ({each.least:.2f}–{each.most:.2f}){mark}" if each else ""
            for each, mark in zip(found, marks, strict=True)
        ]
        if any(shown):
            rows.append((contender.title, *shown))
    note = "\nThe ideal is a schedule in which 16 workers lose no time between steps of exactly 5 ms. ¹ at a smaller size.\n"
    return "### Steps of 5 ms: part of the ideal that is reached\n\n" + _table(("", *(TITLES[name] for name in names)), rows) + note


def _is_smaller(cell: dict[str, Any] | None, name: str) -> bool:
    return bool(cell) and "steps" in (cell or {}) and (cell or {})["steps"] < workload(name).steps


def _counts(results: Results) -> str:
    counted = results.get("counts", {})
    rows = []
    for name, cells in counted.items():
        for contender in _known({name: cells}):
            cell = cells.get(contender.key, {})
            if "commits" not in cell and "fsyncs" not in cell:
                continue
            per = [
                f"{cell[figure] / cell['steps']:,.2f}" if figure in cell else "not counted"
                for figure in ("commits", "fsyncs", "bytes")
            ]
            rows.append((contender.title, TITLES[name], f"{cell['steps']:,}", *per))
    if not rows:
        return ""
    note = (
        "\nSQLite: committed writes, counted by SQLite itself; syncs of the driver's processes, seen by strace, checkpoints included."
        " PostgreSQL: transactions, reads included, and syncs of the log. Bytes: growth of the database.\n"
    )
    heads = ("", "workload", "steps", "commits per step", "syncs per step", "bytes per step")
    return "### What a step costs\n\n" + _table(heads, rows) + note


def _waits(results: Results) -> str:
    cells = _cells(results, 0.0)
    rows = []
    for contender in CONTENDERS:
        imported = spread(results.get("imports", {}).get(contender.module, {}).get("seconds"))
        built = spread(_first_known(cells, contender.key, "build"))
        began = results.get("first_step", {}).get(contender.key, {})
        asked = results.get("status", {}).get(contender.key, {})
        resumed = results.get("resume", {}).get(contender.key, {})
        row = (
            f"{imported.median:.2f} s" if imported else "",
            f"{1000 * built.median:.1f} ms" if built else "",
            f"{1000 * began['median']:.2f} / {1000 * began['p99']:.2f} ms" if "median" in began else "",
            f"{1000 * asked['median']:.2f} ms ({asked['steps']:,} steps)" if "median" in asked else "",
            f"{resumed['first_step']:.2f} s / {resumed['seconds']:.1f} s ({resumed['steps']:,} steps)"
            if "seconds" in resumed
            else "",
        )
        if any(row):
            rows.append((contender.title, *row))
    if not rows:
        return ""
    heads = (
        "",
        "import",
        "plan of 1,000 built",
        "`start` to first step, median / p99",
        "status",
        "half-done run resumed: first step / end",
    )
    return "### Waiting times\n\n" + _table(heads, rows)


def _first_known(cells: dict[str, Any], key: str, figure: str) -> Sequence[float | None] | None:
    for name in ("chain", "fanout"):
        found = cells.get(name, {}).get(key, {}).get(figure)
        if found:
            return list(found)
    return None


def _memory(results: Results) -> str:
    cells = _cells(results, 0.0)
    names = list(cells)
    rows = []
    for contender in _known(cells):
        found = [_megabytes(cells[name].get(contender.key, {})) for name in names]
        if any(found):
            rows.append((contender.title, *found))
    if not rows:
        return ""
    heads = ("", *(TITLES[name] for name in names))
    return "### Peak memory in MB, of that before the workload\n\n" + _table(heads, rows)


def _megabytes(cell: dict[str, Any]) -> str:
    peak, base = spread(cell.get("peak")), spread(cell.get("base"))
    return f"{peak.median / 1e6:,.0f}, {base.median / 1e6:,.0f}" if peak and base else ""


def _scaling(results: Results) -> str:
    found = results.get("scaling", {})
    rows = []
    for key, points in found.items():
        for point in points if isinstance(points, list) else ():
            if "size" not in point:
                rows.append((key, "", f"**missing**: {point.get('missing') or 'took more than ' + str(point.get('timeout')) + ' s'}"))
                continue
            shown = [_FIGURES[figure].format(value) for figure, value in point.items() if figure in _FIGURES]
            rows.append((_CURVES.get(key, key), f"{point['size']:,.0f}", ", ".join(shown)))
    if not rows:
        return ""
    pictures = (
        "".join(f"![{what}]({file})\n\n" for file, what in _PICTURES.items())
        if all((PAGE.parent / file).exists() for file in _PICTURES)
        else ""
    )
    return f"### By size\n\n{pictures}" + _table(("", "how many", "what it costs"), rows)


_PICTURES = {
    "performance-steps.svg": "Time and memory per step by the steps in the plan",
    "performance-runs.svg": "Time per step and memory per run by the runs at once",
    "performance-history.svg": "Time per step and for a status by the events in the store",
}


_CURVES = {
    "steps-sqlite": "steps in a plan, SQLite",
    "steps-memory": "steps in a plan, in memory",
    "runs-sqlite": "runs at once, SQLite",
    "runs-memory": "runs at once, in memory",
    "history-sqlite": "events in the store before, SQLite",
    "waiting_steps": "steps that wait for another",
    "waiting_runs": "runs that wait",
    "finished": "runs that have ended",
}
_FIGURES = {
    "per_step": "{:.6f} s a step",
    "build_per_step": "{:.6f} s a step to build",
    "status_seconds": "status {:.4f} s",
    "bytes_per_step": "{:,.0f} bytes a step",
    "bytes_per_run": "{:,.0f} bytes a run",
    "one": "for a worker, plan of one step: {:,.0f} bytes",
    "twelve": "plan of twelve: {:,.0f} bytes",
    "gate": "at a gate: {:,.0f} bytes",
}


def summary(results: Results) -> dict[str, Any]:
    """What is worth keeping: the machine, and the targets."""
    kept = {key: results[key] for key in ("form", "rounds", "began", "ended", "machine", "versions") if key in results}
    return kept | {"targets": [{"target": each.target, "reached": each.reached, "met": each.is_met} for each in judge(results)]}


def _notes(results: Results) -> str:
    lines = []
    cells = _cells(results, 0.0)
    for contender in _known(cells):
        smaller = [
            f"{name}: {cells[name][contender.key]['steps']:,}" for name in cells if _is_smaller(cells[name].get(contender.key), name)
        ]
        size = f" Measured with fewer steps ({'; '.join(smaller)})." if smaller and contender.is_peer else ""
        if contender.note or size:
            lines.append(f"- {contender.title}: {contender.note}{size}")
    return "Notes:\n\n" + "\n".join(lines) + "\n" if lines else ""


def _cells(results: Results, seconds: float) -> dict[str, Any]:
    found = {name: kinds.get(str(seconds), {}) for name, kinds in results.get("throughput", {}).items()}
    return {name: cells for name, cells in found.items() if any(cell.get("rates") for cell in cells.values())}


def _known(cells: dict[str, Any]) -> list[Contender]:
    return [contender for contender in CONTENDERS if any(contender.key in each for each in cells.values())]


def _title(key: str) -> str:
    return next((contender.title for contender in CONTENDERS if contender.key == key), key)


def _times(found: Spread | None) -> str:
    if found is None:
        return ""
    places = 1 if found.median >= 10 else 2
    return f"{found.median:.{places}f}× ({found.least:.{places}f}–{found.most:.{places}f})"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |"]
    lines.append("| " + " | ".join("---" for _ in lines[0].split(" | ")) + " |")
    lines.extend(f"| {' | '.join(row)} |" for row in rows)
    return "\n".join(lines) + "\n"
