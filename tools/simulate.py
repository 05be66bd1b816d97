"""Runs simulations of engines, faults and people; ``--seed N`` replays one and tells what happened.

python tools/simulate.py --seeds 0-2000      # all of these; ends at the first that breaks a promise
python tools/simulate.py --seed 17 --trace   # one, line by line
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulator"))

from sim_simulation import Simulation
from sim_trace import Broken

_LONGEST_STORY = 60
"""Seconds; most take some hundredths."""


class Hangs(BaseException):
    """A story does not go on. No ``Exception``: engines log those, and go on."""


def _hang(*_: object) -> None:
    raise Hangs


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGALRM, _hang)
    seeds = range(arguments.seed, arguments.seed + 1) if arguments.seed is not None else range(*arguments.seeds)
    begun, totals, failed = time.perf_counter(), Counter[str](), list[int]()
    for seed in seeds:
        simulation = Simulation(seed, beyond_assumption=arguments.beyond_assumption, sql=arguments.sql)
        if _is_good(simulation, arguments):
            totals.update(simulation.counts())
            continue
        failed.append(seed)
        if not arguments.go_on:
            break
    took = time.perf_counter() - begun
    _say(f"{len(seeds)} seeds in {took:.1f} s ({1000 * took / len(seeds):.1f} ms each), {len(failed)} failed {failed[:20]}")
    _say(", ".join(f"{count:,} {name}" for name, count in totals.items()))
    return 1 if failed else 0


def _is_good(simulation: Simulation, arguments: argparse.Namespace) -> bool:
    signal.alarm(_LONGEST_STORY)
    try:
        simulation.run()
    except (Exception, Hangs) as error:  # noqa: BLE001  whatever it is, its seed is told
        _explain(simulation, error, whole=arguments.trace)
        return False
    finally:
        signal.alarm(0)
    if arguments.trace:
        _say(simulation.trace.text())
    if arguments.seed is not None:
        _say(f"seed {simulation.seed}: {simulation.statuses()}; {len(simulation.trace)} lines, digest {simulation.trace.digest}")
    return True


def _explain(simulation: Simulation, error: BaseException, *, whole: bool) -> None:
    _say(simulation.trace.text(None if whole else 60))
    if not isinstance(error, Broken):
        _say(traceback.format_exc())
    _say(f"\nseed {simulation.seed}: {type(error).__name__}: {error}")
    _say(f"replay: python tools/simulate.py --seed {simulation.seed} --trace")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seeds", type=_span, default=(0, 2000), help="first-last, last excluded (default 0-2000)")
    parser.add_argument("--trace", action="store_true", help="print all that happened")
    parser.add_argument("--go-on", action="store_true", help="do not end at the first failure")
    parser.add_argument(
        "--sql",
        nargs="?",
        const="sqlite://",
        metavar="URL",
        help="empty this database, tell it the same, and see that it holds the same",
    )
    parser.add_argument("--beyond-assumption", action="store_true", help="pause processes for longer than is assumed")
    return parser.parse_args()


def _span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f"{text!r} is no span of seeds; say first-last, as in 0-2000")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
