"""The pages, read as HTML: what they show of what is recorded, and to whom."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from provisioning_http.ui import PAGES, _run_page
from starlette.testclient import TestClient

from tests.ui.ui_product import CANARY, HOSTILE_NAME, Product
from tests.ui.ui_reading import UI, look, rows, run_path, words

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


# the list


def test_the_list_has_the_counts_of_each_status_as_filters(product: Product, root: TestClient) -> None:
    product.start("gated", "one")
    product.start("gated", "two")
    product.start("workspace", "three")
    page = look(root, UI)
    chips = {words(chip): chip["href"] for chip in page.select("#chips a")}

    assert set(chips) == {"all 3", "need a person 3", "waiting 2", "failed 1"}
    assert [words(row.find("th")) for row in page.select("#runs tbody tr")] == ["three", "two", "one"]

    failed = look(root, chips["failed 1"])
    assert [words(row.find("th")) for row in failed.select("#runs tbody tr")] == ["three"]
    assert words(failed.select_one("#chips [aria-current]")) == "failed 1"


def test_the_list_goes_on_behind_a_cursor(product: Product, root: TestClient) -> None:
    for number in range(52):
        product.engine.start("gated", subject=f"t{number:02d}")
    first = look(root, UI, plan="gated")
    second = look(root, first.find("a", rel="next")["href"])

    assert [len(page.select("#runs tbody tr")) for page in (first, second)] == [50, 2]
    assert words(second.select("#runs tbody th")[-1]) == "t00"
    assert second.find("a", rel="next") is None


def test_a_list_filtered_by_tenant_shows_it_alone(product: Product, root: TestClient) -> None:
    product.start("gated", "one")
    product.start("gated", "two")

    assert [words(each) for each in look(root, UI, tenant="two").select("#runs tbody th")] == ["two"]
    assert words(look(root, UI, tenant="three").select_one(".empty")) == "No run fits this filter."


# a run


def test_a_run_is_told_in_a_sentence_and_each_step_by_icon_and_word(product: Product, olaf: TestClient) -> None:
    page = look(olaf, run_path(product.start("workspace")))

    assert words(page.find(id="sentence")) == (
        "It stopped: billing failed: The card was declined. 1 step behind it did not run. It waits for a person."
    )
    assert words(page.select_one(".top .pill")) == "failed"
    boxes = [(box["aria-label"], words(box.select_one(".small")), box.use["href"]) for box in page.select("svg.graph a")]
    assert boxes == [
        ("database: succeeded", "succeeded", "#i-done"),
        ("bucket: succeeded", "succeeded", "#i-done"),
        ("note: succeeded", "succeeded", "#i-done"),
        ("billing: failed", "failed", "#i-bad"),
        ("mail: blocked", "blocked", "#i-blocked"),
    ]
    assert {use["href"][1:] for use in page.select("use")} <= {symbol["id"] for symbol in page.select("symbol")}


def test_beside_the_graph_stands_a_table_that_says_the_same(product: Product, olaf: TestClient) -> None:
    page = look(olaf, run_path(product.start("workspace")))

    assert [(row[0], row[1], row[2], row[4], row[5]) for row in rows(page, "steps")] == [
        ("database", "succeeded", "2", "", ""),
        ("bucket", "succeeded", "1", "database", ""),
        ("note", "succeeded", "1", "database", ""),
        ("billing", "failed", "1", "bucket , note", "The card was declined."),
        ("mail", "blocked", "", "billing", "waits for billing"),
    ]


def test_the_timeline_has_a_bar_for_each_attempt_hatched_waits_and_compensations_below(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    product.engine.rollback("acme").wait(timeout=10)
    page = look(olaf, run_path(run))
    bars = [(words(row.a), [bar["class"] for bar in row.select("rect.bar")]) for row in page.select(".rows li") if row.a]

    assert bars[0] == ("database", [["bar", "attempt", "bad"], ["bar", "wait", "wait"], ["bar", "attempt", "done"]])
    assert [name for name, _ in bars] == ["database", "bucket", "note", "billing", "billing", "bucket", "database"]
    assert [kinds for _, kinds in bars[4:]] == [[["bar", "undo", "undone"]]] * 3
    assert len(page.select(".rows li")[1].select("rect.hatch")) == 1
    below = [words(each) for each in page.select(".rows h3")]
    assert below == ["Undoing"]


def test_beside_the_timeline_stands_a_table_that_says_the_same(product: Product, olaf: TestClient) -> None:
    page = look(olaf, run_path(product.start("workspace")))
    told = [row[1].split(" ", 1)[1] for row in rows(page, "timeline") if row[0] == "database"]

    assert [re.sub(r", [\d.]+ s", "", each) for each in told] == [
        "attempt 1: failed The server does not answer.",
        "waits for attempt 2: over",
        "attempt 2: succeeded",
    ]


def test_a_step_shows_its_attempts_error_ledger_and_output(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace", password=CANARY)
    page = look(olaf, run_path(run), step="database")
    panel = page.find(id="panel")

    attempts = [[words(cell) for cell in row.find_all(["th", "td"])] for row in panel.select("table tbody tr")]
    assert [(row[0], row[3]) for row in attempts] == [
        ("attempt 1", "failed The server does not answer."),
        ("waits for attempt 2", "over"),
        ("attempt 2", "succeeded"),
    ]
    assert words(panel.select_one(".ledger li")) == 'database db-acme { "region": "eu" }'
    assert '"password": "**********"' in panel.get_text()
    assert "up to 2 attempts" in words(panel.select_one(".traits"))

    failed = look(olaf, run_path(run), step="billing").find(id="panel")
    assert "The card was declined. card_declined 402" in words(failed.select_one(".trouble"))


def test_the_history_tells_who_did_what_and_why(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    product.engine.rollback("acme", actor="olaf", reason="no card").wait(timeout=10)
    lines = [words(line.p) for line in look(olaf, run_path(run), history="all").select(".history li")]

    assert lines[0] == "The run was rolled back and nothing is left of it"
    assert lines[-1] == "ana started it signed up"
    assert "olaf asked for rollback no card" in lines
    assert "billing failed (attempt 1) The card was declined." in lines


def test_the_history_is_short_until_all_of_it_is_asked_for(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    product.engine.rollback("acme").wait(timeout=10)
    count = len(list(product.engine.events("acme")))
    short = look(olaf, run_path(run))

    assert len(short.select(".history li")) == 25
    link = short.find("a", string=re.compile("earlier"))
    assert words(link) == f"Show {count - 25} earlier"
    assert len(look(olaf, link["href"]).select(".history li")) == count


def test_a_history_that_is_too_long_for_a_page_says_so(product: Product, olaf: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    run = product.start("workspace")
    monkeypatch.setattr(_run_page, "_MOST_EVENTS", 5)
    page = look(olaf, run_path(run))

    assert len(page.select(".history li")) == 5
    assert "The history is longer than a page can show" in words(page.find(id="history").find_parent("section"))


@pytest.mark.parametrize("plan", ["workspace", "gated", "slow", "held"])
def test_there_is_a_button_for_what_is_allowed_and_for_nothing_else(product: Product, olaf: TestClient, plan: str) -> None:
    run = product.start(plan)
    page = look(olaf, run_path(run))
    verbs = {link["href"].partition("?")[0].rpartition("/")[2] for link in page.select("#actions a")}

    assert verbs == set(run.view().allowed_actions)
    assert verbs


def test_whoever_may_only_read_has_no_buttons_and_sees_nothing_that_is_for_operators(product: Product, anna: TestClient) -> None:
    run = product.start("workspace")
    page = look(anna, run_path(run), step="database", history="all")
    text = page.get_text() + look(anna, run_path(run), step="billing").get_text()

    assert page.find(id="actions") is None
    assert page.find(id="input") is None
    assert "db-acme" not in text
    assert "refused, said" not in text
    assert "402" not in text
    assert "Traceback" not in text
    assert "signed up" not in text
    assert "The card was declined." in text


def test_a_page_without_scripts_looks_again_while_the_run_moves_and_can_be_told_to_stop(product: Product, olaf: TestClient) -> None:
    run = product.start("slow")
    moving = look(olaf, run_path(run))

    assert moving.select_one("head noscript meta")["content"] == "5"
    assert look(olaf, moving.find("a", string="Stop that")["href"]).select_one("noscript meta") is None
    product.open.set()
    run.wait(timeout=10)
    assert look(olaf, run_path(run)).select_one("noscript meta") is None


def test_a_tenant_leads_to_its_latest_run(product: Product, olaf: TestClient) -> None:
    run = product.start("gated")

    assert olaf.get(f"{UI}/tenants/acme", follow_redirects=False).headers["location"] == run_path(run)
    step = olaf.get(f"{UI}/tenants/acme?step=approval", follow_redirects=False)
    assert step.headers["location"] == f"{run_path(run)}?step=approval"


def test_a_tenant_without_a_run_leads_to_the_plans(product: Product, olaf: TestClient) -> None:
    page = look(olaf, f"{UI}/tenants/acme")

    assert f"{UI}/tenants/acme/start?plan=gated" in {link["href"] for link in page.select("main a")}


# plans


def test_a_plan_shows_its_graph_its_preview_and_past_durations(product: Product, root: TestClient) -> None:
    product.mended.set()
    assert "not known yet" in words(look(root, f"{UI}/plans/workspace").find("table"))
    product.start("workspace")
    product.engine.close()  # which writes down what was learned of durations
    page = look(root, f"{UI}/plans/workspace")

    assert [box["aria-label"] for box in page.select("svg.graph a")][-1] == "mail: irreversible"
    table = rows(page, "steps")
    assert [(row[0], row[3]) for row in table] == [
        ("database", "it is compensated"),
        ("bucket", "it is compensated"),
        ("note", "nothing to undo"),
        ("billing", "it is compensated"),
        ("mail", "it can't be undone"),
    ]
    assert [bool(re.fullmatch(r"[\d.]+ s", row[2])) for row in table] == [True] * 5
    assert "5 in 4 layers" in words(page.select_one(".facts"))


def test_all_plans_are_listed(product: Product, root: TestClient) -> None:
    names = [words(each) for each in look(root, f"{UI}/plans").select("tbody th")]

    assert names[:4] == ["workspace", "slow", "gated", "held"]


# who may see what

PATHS = {
    "ui_runs": UI,
    "ui_plans": f"{UI}/plans",
    "ui_plan": f"{UI}/plans/gated",
    "ui_choose": f"{UI}/start",
    "ui_tenant": f"{UI}/tenants/acme",
    "ui_start_form": f"{UI}/tenants/acme/start?plan=gated",
    "ui_start": f"{UI}/tenants/acme/start",
    "ui_run": f"{UI}/runs/RUN",
    "ui_act_form": f"{UI}/runs/RUN/rollback",
    "ui_act": f"{UI}/runs/RUN/rollback",
}
REFUSED = {
    "": dict.fromkeys(PATHS, 401),
    "fremd": {name: 403 if PATHS[name] in (UI, f"{UI}/plans", f"{UI}/plans/gated", f"{UI}/start") else 404 for name in PATHS},
    "anna": {"ui_runs": 403, "ui_plans": 403, "ui_plan": 403, "ui_choose": 403, "ui_act_form": 404, "ui_act": 404},
    "olaf": {"ui_runs": 403, "ui_plans": 403, "ui_plan": 403, "ui_choose": 403},
    "root": {},
}
"""Who is refused what; whatever is not named here is let in."""


def test_every_page_is_in_the_table_of_who_may_see_it() -> None:
    assert {page.name for page in PAGES} == set(PATHS)


@pytest.mark.parametrize("person", REFUSED)
def test_every_page_asks_whether_it_may_be_seen(product: Product, client_of: Callable[[str], TestClient], person: str) -> None:
    run = product.start("gated")
    client = client_of(person)
    answers = {}
    for page in PAGES:
        answers[page.name] = client.request(page.method, PATHS[page.name].replace("RUN", run.id), follow_redirects=False)
    refused = {name: answer.status_code for name, answer in answers.items() if answer.status_code not in (200, 303, 415)}

    assert refused == REFUSED[person]
    assert [name for name in refused if "gated" in answers[name].text] == []
    assert {answer.headers["content-security-policy"] for answer in answers.values()} == {POLICY}
    assert len(list(product.engine.events("acme"))) == 4


def test_a_refusal_is_a_page_that_finds_its_stylesheet(product: Product, client_of: Callable[[str], TestClient]) -> None:
    stranger = client_of("")
    answer = stranger.get(UI)
    page = BeautifulSoup(answer.text, "html.parser")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Cookie")
    assert words(page.h1) == "Log in first."
    assert stranger.get(page.find("link", rel="stylesheet")["href"]).status_code == 200
    assert words(look(client_of("root"), f"{UI}/runs/unknown", 404).h1) == "There is no such run here."


# what a page can't do


def all_pages(product: Product, root: TestClient) -> list[tuple[str, str]]:
    """Every kind of page there is, with a run that failed in it."""
    run = product.start("workspace", "acme", password=CANARY)
    product.start("slow", "beta")
    step = f"{run_path(run)}?step=database&history=all"
    verbs = [f"{run_path(run)}/{verb}" for verb in run.view().allowed_actions]
    start = f"{UI}/tenants/x/start?plan=workspace"
    paths = [UI, f"{UI}/plans", f"{UI}/plans/workspace", f"{UI}/start", f"{UI}/tenants/none", start, run_path(run), step, *verbs]
    found = []
    for path in paths:
        answer = root.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        found.append((path, answer.text))
    return found


def test_no_page_has_inline_scripts_or_styles_or_anything_from_elsewhere(product: Product, root: TestClient) -> None:
    for path, text in all_pages(product, root):
        page = BeautifulSoup(text, "html.parser")
        assert page.find("style") is None, path
        assert [each for each in page.find_all("script") if each.string or not each.get("src")] == [], path
        assert [each for each in page.select("*") if any(name == "style" or name.startswith("on") for name in each.attrs)] == []
        linked = [value for each in page.select("*") for name, value in each.attrs.items() if name in ("href", "src", "action")]
        assert [value for value in linked if not value.startswith(("/provisioning/", "#", "?"))] == [], path


def test_every_page_has_a_language_a_title_one_heading_and_names_for_all_fields(product: Product, root: TestClient) -> None:
    for path, text in all_pages(product, root):
        page = BeautifulSoup(text, "html.parser")
        assert page.html["lang"] == "en", path
        assert words(page.title).endswith("Provisioning"), path
        assert len(page.find_all("h1")) == 1, path
        fields = page.select("input:not([type=hidden]), select, textarea")
        assert [field for field in fields if field.find_parent("label") is None] == [], path
        ids = [each["id"] for each in page.select("[id]")]
        assert len(ids) == len(set(ids)), path


def test_script_style_and_a_page_are_under_60_kb(product: Product, root: TestClient) -> None:
    pages = all_pages(product, root)
    links = BeautifulSoup(pages[0][1], "html.parser")
    sizes = [
        len(root.get(tag[name]).content) for tag, name in ((links.script, "src"), (links.select_one("link[rel=stylesheet]"), "href"))
    ]
    largest = max(len(text.encode()) for _, text in pages)

    assert sum(sizes) + largest < 60_000


def test_assets_are_kept_by_browsers_and_named_by_what_is_in_them(product: Product, client_of: Callable[[str], TestClient]) -> None:
    stranger = client_of("")
    answer = stranger.get(f"{UI}/assets/page.js")

    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert [stranger.get(f"{UI}/assets/{name}").status_code for name in ("none.js", "..%2F_pages.py", "page.py")] == [404] * 3


def test_no_secret_is_on_any_page(product: Product, root: TestClient) -> None:
    product.mended.set()
    product.start("workspace", "kept", password=CANARY)

    for path, text in all_pages(product, root):
        operators_only = text.replace(f"refused, said {CANARY}", "")
        assert CANARY not in operators_only, path


def test_names_full_of_markup_stay_inert(product: Product, root: TestClient) -> None:
    run = product.start("hostile", HOSTILE_NAME)
    seen = [
        look(root, UI),
        look(root, f"{UI}/plans"),
        look(root, run_path(run), step="first", history="all"),
        look(root, f"{run_path(run)}/skip"),
        look(root, f"{run_path(run)}/rollback"),
    ]

    for page in seen:
        assert page.find("img") is None
        assert len(page.find_all("script")) <= 1
        assert "\u202e" not in page.get_text()
        assert "<img src=x onerror=alert(1)>" in page.get_text()
    names = [th.find("bdi") for th in seen[2].select("#steps ~ * tbody th, table.list tbody th")]
    assert names
    assert None not in names


# large runs


def test_a_run_of_1000_steps_is_folded_and_can_be_opened(product: Product, root: TestClient) -> None:
    run = product.start("large", "huge")
    answer = root.get(run_path(run))
    page = BeautifulSoup(answer.text, "html.parser")
    groups = page.select("svg.graph a.group")

    assert len(answer.content) < 150_000
    assert [group["aria-label"] for group in groups[:2]] == [
        "step_00_00 +49: 50 of 50 succeeded",
        "step_01_00 +49: 50 of 50 succeeded",
    ]
    assert len(groups) == 20
    assert len(rows(page, "steps")) == 40
    assert words(page.find(id="steps").find_parent("section").select_one(".pages")) == "1 to 40 of 1000 More"

    opened = look(root, groups[1]["href"])
    assert [row[0] for row in rows(opened, "steps")] == [f"step_01_{number:02d}" for number in range(50)]
    assert len(opened.select("svg.graph a.box")) == 50


def test_the_steps_of_a_large_run_go_on_and_are_filtered_by_status(product: Product, root: TestClient) -> None:
    run = product.start("large", "huge")
    page = look(root, run_path(run))
    following = look(root, page.find("a", string="More")["href"])

    assert rows(following, "steps")[0][0] == "step_00_40"
    assert look(root, following.find("a", string="Before")["href"]).select_one("tbody th").get_text() == "step_00_00"
    assert len(rows(look(root, run_path(run), state="FAILED"), "steps")) == 0
