"""When a message is tried again."""

from __future__ import annotations

from random import Random

import pytest
from webhook_receiver import http_date

from provisioning_core.observers.webhooks._schedule import DELAYS, LONGEST, asked_delay, delay_after, is_last

NOW = 1_700_000_000.0
DICE = Random(4)


def test_there_are_ten_tries_within_75_hours_and_35_minutes() -> None:
    assert [is_last(attempt) for attempt in (1, 9, 10, 11)] == [False, False, True, True]
    assert sum(DELAYS) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize("attempt", range(1, 10))
def test_delays_are_spread_by_a_fifth(attempt: int) -> None:
    usual = DELAYS[attempt - 1]
    found = [delay_after(attempt, DICE) for _ in range(300)]
    assert usual * 0.8 <= min(found) < usual * 0.85
    assert usual * 1.15 < max(found) <= usual * 1.2


def test_a_receiver_is_not_asked_before_it_wants_to_be() -> None:
    assert delay_after(1, DICE, asked=500.0) == 500.0
    assert delay_after(9, DICE, asked=5.0) >= 0.8 * DELAYS[8]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 1.0),
        ("5", 5.0),
        (" 120 ", 120.0),
        ("99999999999", LONGEST),
        ("9" * 20, LONGEST),
        ("9" * 30, None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("Tue, 14 Nov 2023 21:00:00 GMT", 1.0),
        ("Tue, 14 Nov 2033 22:14:20 GMT", LONGEST),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("٥", None),
        ("5, 10", None),
    ],
)
def test_what_a_receiver_asks_for_is_read_within_bounds(header: str | None, seconds: float | None) -> None:
    assert asked_delay(header, NOW) == seconds


def test_a_date_as_servers_write_it() -> None:
    import time

    found = asked_delay(http_date(90), time.time())
    assert found is not None
    assert 85 < found <= 90
