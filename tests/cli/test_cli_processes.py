"""Real processes: signals, workers, and the live view on a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import in_a_pipe, on_a_terminal


def test_ctrl_c_detaches_and_says_how_to_come_back(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "start", "acme", "slow") as start:
        start.read_until("slow  ▶ RUNNING")
        start.signal(signal.SIGINT)
        start.read_until("Waiting up to 10 s for 1 step under way here to end. Ctrl-C again leaves at once.")
        (tmp_path / "go").touch()

        assert start.end() == 130
        assert "It is recorded, and the run goes on wherever an engine works" in start.text
        assert "come back to it with: provision watch acme" in start.text

    with in_a_pipe(tmp_path, "watch", "acme") as watch:
        assert watch.end() == 0
        assert "acme is provisioned (SUCCEEDED)" in watch.text


def test_a_second_ctrl_c_leaves_at_once_and_the_run_is_kept(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "start", "acme", "slow") as start:
        start.read_until("slow  ▶ RUNNING")
        start.signal(signal.SIGINT)
        start.read_until("Ctrl-C again leaves at once.")
        start.signal(signal.SIGINT)

        assert start.end() == 130

    (tmp_path / "go").touch()
    with in_a_pipe(tmp_path, "watch", "acme") as watch:
        assert watch.end() == 0


def test_after_a_kill_nothing_is_said_to_be_at_work(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "start", "acme", "slow") as start:
        start.read_until("slow  ▶ RUNNING")
        for word in ("status", "explain"):
            with in_a_pipe(tmp_path, word, "acme") as moving:
                assert moving.end() == 0
                assert "None is alive now." not in moving.text
        start.signal(signal.SIGKILL)
        start.end()

    for word in ("status", "explain"):
        with in_a_pipe(tmp_path, word, "acme") as told:
            assert told.end() == 0
            assert "  An engine that takes it up: a worker, or a command that watches it. None is alive now." in told.text
            assert "Step slow is at work" not in told.text


def test_a_timeout_leaves_with_124(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "start", "acme", "slow", "--timeout", "0.5") as start:
        start.read_until("The run is not finished after 0.5 s.")
        (tmp_path / "go").touch()

        assert start.end() == 124


def test_a_worker_carries_out_what_others_record_until_it_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with in_a_pipe(tmp_path, "worker") as worker:
        worker.read_until("plans: slow.")
        with in_a_pipe(tmp_path, "start", "acme", "slow", "--detach") as start:
            assert start.end() == 0
        with in_a_pipe(tmp_path, "watch", "acme", "--no-work") as watch:
            assert watch.end() == 0
        worker.signal(signal.SIGTERM)

        assert worker.end() == 0
        assert "Stopping: steps under way get up to 10 s to end." in worker.text


def test_a_second_signal_ends_a_worker_at_once(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "worker", "--grace", "30") as worker:
        worker.read_until("The worker is ready")
        with in_a_pipe(tmp_path, "start", "acme", "slow", "--detach") as start:
            start.end()
        with in_a_pipe(tmp_path, "events", "acme", "--follow") as events:
            events.read_until("slow  ▶ RUNNING")
        worker.signal(signal.SIGTERM)
        worker.read_until("Stopping")
        worker.signal(signal.SIGTERM)

        assert worker.end() == 128 + signal.SIGTERM


def test_the_live_view_on_a_terminal(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "start", "acme", "slow") as start:
        start.read_until("50% waiting for the file")
        (tmp_path / "go").touch()

        assert start.end() == 0
        assert "\x1b[" in start.text
        assert "acme · slow 1 · " in start.text
        assert "✓ SUCCEEDED" in plain(start.text)
        assert "acme is provisioned (SUCCEEDED)" in start.text


def test_no_color_keeps_the_view_and_drops_the_colours(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with on_a_terminal(tmp_path, "start", "acme", "slow", NO_COLOR="1") as start:
        assert start.end() == 0
        assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", start.text)
        assert "✓ SUCCEEDED" in plain(start.text)


def test_a_narrow_terminal_is_never_written_beyond(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "start", "acme", "slow", columns=40, lines=12) as start:
        start.read_until("slow 1")
        (tmp_path / "go").touch()
        assert start.end() == 0

    live = plain(start.text).split("acme is provisioned")[0]
    assert max(len(line) for line in re.split(r"[\r\n]+", live)) <= 40


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with on_a_terminal(tmp_path, "start", "acme", "slow", TERM="dumb") as start:
        assert start.end() == 0
        assert "\x1b" not in start.text
        assert "slow  ✓ SUCCEEDED" in start.text


@pytest.mark.parametrize(("answer", "exit_code", "undone"), [("y\n", 0, True), ("n\n", 1, False)])
def test_a_rollback_shows_what_it_undoes_and_asks(tmp_path: Path, answer: str, exit_code: int, undone: bool) -> None:
    (tmp_path / "go").touch()
    with in_a_pipe(tmp_path, "start", "acme", "slow") as start:
        assert start.end() == 0

    with on_a_terminal(tmp_path, "deprovision", "acme") as deprovision:
        shown = deprovision.read_until("Deprovision acme?")
        deprovision.write(answer)

        assert deprovision.end() == exit_code
    assert "This undoes 1 step, in this order:\r\n  1. first\r\n  Nothing to undo: slow." in shown
    assert (tmp_path / "undone").exists() is undone


def test_a_status_on_a_terminal_is_a_table_and_pruning_asks(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with in_a_pipe(tmp_path, "start", "acme", "slow") as start:
        assert start.end() == 0
    with on_a_terminal(tmp_path, "status", "acme") as status:
        assert status.end() == 0
        assert "\x1b[" in status.text
        assert "✓ SUCCEEDED" in plain(status.text)
    with on_a_terminal(tmp_path, "db", "prune", "--before", "0h", "--also-latest") as prune:
        prune.read_until("[y/N]")
        prune.write("n\n")

        assert prune.end() == 1
        assert "Nothing was done." in prune.text


def test_the_demo_on_a_terminal(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "demo", "--fast") as demo:
        assert demo.end() == 0
        assert "acme is provisioned (SUCCEEDED)" in demo.text
        assert "globex was rolled back and nothing is left of it (ROLLED_BACK)" in demo.text


def test_a_reader_that_goes_away_is_no_error() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as nobody_reads:
        command = [sys.executable, "-m", "provisioning_cli", "demo", "--fast", "--json"]
        ended = subprocess.run(command, stdout=nobody_reads, stderr=subprocess.PIPE, check=False, timeout=60)

    assert ended.stderr == b""


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
