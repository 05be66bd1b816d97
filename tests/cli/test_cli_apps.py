"""Finding the app, and mounting the commands in another program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group, main

from provisioning_core import Engine
from tests.cli.product import Product

APP = """
from provisioning_core import Engine, Plan, step
from provisioning_core.stores import MemoryStore

@step
def only() -> None: ...

STORE = MemoryStore()
PLANS = [Plan("tenant", steps=[only])]
SEEN = []

def plain():
    return Engine(store=STORE, plans=PLANS, poll=0.02)

def told(work):
    SEEN.append(work)
    return Engine(store=STORE, plans=PLANS, work=work, poll=0.02)

def broken():
    raise KeyError("DATABASE_URL")

def wrong():
    return 5

def locked():
    raise PermissionError("only operators may use this")

def keyless():
    from pydantic import SecretStr

    @step
    def password() -> SecretStr: ...

    return Engine(store=STORE, plans=[Plan("secret", steps=[password])])

def nowhere():
    from provisioning_core.stores import SqlStore

    return Engine(store=SqlStore("nonsense"), plans=PLANS)

engine = plain()
number = 5

class Holder:
    engine = engine
"""

FAULTY = """
from provisioning_core import Plan, step

@step(needs=["nobody"])
def only() -> None: ...

plan = Plan("tenant", steps=[only, only])
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Runs ``provision --app REFERENCE ...`` in a folder with the module ``their_app``."""
    (tmp_path / "their_app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "bad_app.py").write_text("import there_is_no_such_module", encoding="utf-8")
    (tmp_path / "rotten_app.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "closed_app.py").write_text("raise PermissionError('only operators may use this')", encoding="utf-8")
    (tmp_path / "faulty_app.py").write_text(FAULTY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("PROVISIONING_APP", raising=False)
    yield lambda reference, *words: CliRunner().invoke(main, ["--app", reference, *words])
    for name in ("their_app", "bad_app", "rotten_app", "closed_app", "faulty_app"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("reference", ["their_app:engine", "their_app:plain", "their_app:told", "their_app:Holder.engine"])
def test_an_app_is_an_engine_or_makes_one(app: Callable[..., Result], reference: str) -> None:
    result = app(reference, "start", "acme", "tenant", "--json")

    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "SUCCEEDED")


def test_a_factory_is_told_whether_the_command_works(app: Callable[..., Result]) -> None:
    for words in (("check",), ("start", "acme", "tenant"), ("status", "acme"), ("start", "globex", "tenant", "--detach")):
        assert app("their_app:told", *words).exit_code == 0

    assert sys.modules["their_app"].SEEN == [False, True, False, False]


def test_a_command_that_only_reads_carries_out_nothing_whatever_the_factory_makes(product: Product) -> None:
    group = create_group(lambda: product.engine())  # can't be told about work=
    commands = [["start", "acme", "tenant", "--input", "slug=acme", "--detach"], ["status", "acme"], ["explain", "acme"]]

    assert [CliRunner().invoke(group, words).exit_code for words in commands] == [0, 0, 0]
    assert product.done == []
    assert CliRunner().invoke(group, ["watch", "acme"]).exit_code == 0
    assert product.done == ["database", "bucket"]


def test_a_store_in_memory_is_no_place_to_come_back_to(app: Callable[..., Result]) -> None:
    result = app("their_app:told", "start", "acme", "tenant", "--detach")

    assert "The app's store keeps runs in memory only, so this run ends with this command." in result.stderr


def test_the_environment_can_name_the_app(app: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_APP", "their_app:engine")

    assert CliRunner().invoke(main, ["plans"]).exit_code == 0


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("", "This command needs your app. Say where your engine is, such as --app myproduct.provisioning:engine"),
        ("their_app", "'their_app' does not name an app. Say module:attribute"),
        ("no_app.at_all:engine", "There is no module 'no_app.at_all'"),
        ("bad_app:engine", "The app 'bad_app:engine' imports 'there_is_no_such_module', which is not installed. Install it."),
        ("rotten_app:engine", "The app 'rotten_app:engine' could not be imported: ZeroDivisionError: division by zero."),
        ("their_app:nothing", "their_app has no 'nothing'."),
        ("their_app:number", "their_app:number is a int; it must be an Engine or a function that gives one."),
        ("their_app:wrong", "their_app:wrong gave a int; it must give an Engine."),
        ("their_app:broken", "their_app:broken could not make an engine: KeyError: 'DATABASE_URL'. Mend the function."),
    ],
)
def test_an_app_that_cannot_be_had_is_a_usage_error(app: Callable[..., Result], reference: str, told: str) -> None:
    plain, as_json = app(reference, "check"), app(reference, "check", "--json")

    assert (plain.exit_code, as_json.exit_code, plain.stdout, as_json.stdout) == (2, 2, "", "")
    assert told in " ".join(plain.stderr.split())
    assert json.loads(as_json.stderr)["error"]["message"].startswith(told)


@pytest.mark.parametrize("reference", ["their_app:locked", "closed_app:engine"])
def test_the_app_may_say_who_may_use_it(app: Callable[..., Result], reference: str) -> None:
    result = app(reference, "plans", "--json")

    assert (result.exit_code, result.stdout) == (4, "")
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["message"]) == ("permission", "only operators may use this")


@pytest.mark.parametrize(
    ("reference", "words", "code"),
    [
        ("their_app:keyless", ["plans"], "bad_engine"),
        ("their_app:nowhere", ["plans"], "bad_store_url"),
        ("their_app:told", ["db", "check", "--db", "bogus"], "bad_store_url"),
        ("their_app:told", ["db", "upgrade", "--db", "bogus"], "bad_store_url"),
        ("their_app:told", ["db", "prune", "--db", "mysql://nobody@nowhere/x"], "unsupported_database"),
    ],
)
def test_a_set_up_that_can_not_work_is_a_usage_error(app: Callable[..., Result], reference: str, words: list[str], code: str) -> None:
    result = app(reference, *words, "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"]["code"] == code


def test_a_word_that_is_not_text_is_a_usage_error(app: Callable[..., Result]) -> None:
    result = app("their_app:told", "status", "acme\udcff", "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"]["message"] == "'acme\ufffd' is not text in UTF-8."


def test_check_lists_every_fault_of_a_plan(app: Callable[..., Result]) -> None:
    result = app("faulty_app:plan", "check")

    assert result.exit_code == 2
    assert "'tenant' has 2 faults:" in result.stderr
    assert result.stderr.count("  - ") == 2


def test_the_commands_can_be_part_of_another_program(product: Product) -> None:
    @click.group()
    def ours() -> None:
        """Another program."""

    ours.add_command(create_group(product.engine, "tenants"))
    result = CliRunner().invoke(ours, ["tenants", "start", "acme", "approved"])

    assert result.exit_code == 7
    assert "  ours tenants signal acme approval  opens the gate approval" in result.stdout


def test_a_mounted_group_can_have_one_engine(product: Product) -> None:
    engine: Engine = product.engine()

    assert CliRunner().invoke(create_group(engine), ["start", "acme", "tenant", "--input", "slug=acme"]).exit_code == 0


def test_every_command_has_help_and_all_but_the_groups_take_json() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        return [each for sub in command.commands.values() for each in leaves(sub)] if isinstance(command, click.Group) else [command]

    without_json = [each.name for each in leaves(main) if "as_json" not in [param.name for param in each.params]]
    without_help = [each.name for each in leaves(main) if not each.help]
    assert (without_json, without_help) == ([], [])


def test_the_help_tells_exit_codes_and_completion() -> None:
    told = CliRunner().invoke(main, ["--help"]).stdout

    assert "124 --timeout" in told
    assert 'eval "$(_PROVISION_COMPLETE=bash_source provision)"' in told


def test_the_shell_can_complete_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PROVISION_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "provision dep")
    monkeypatch.setenv("COMP_CWORD", "1")

    assert CliRunner().invoke(main, [], prog_name="provision").stdout == "plain,deprovision\n"
