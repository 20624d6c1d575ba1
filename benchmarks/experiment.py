"""Live comparisons and bandits on simulated streams, beside a z-test and three libraries.

    python benchmarks/experiment.py             # some four minutes on two cores
    python benchmarks/experiment.py --quick     # under one, with fewer runs

All judge the same streams, drawn with fixed seeds, after every unit:

    false alarms       no effect, 20,000 units, three rates, two shares: who ever raises an alarm?
    units to a verdict a lift of 20 % of 10 %: by which unit is it found, at most 1.6 fixed samples?
    width              of the interval of the lift, and of the effect, after 1,000 units and on
    seconds            from a million raw units to a verdict
    bandits            three arms of 5, 4 and 3 %: what is lost to the best one?

Two sides together may be wrong with a rate of 5 %. Headrace is planned for the lift of 20 %;
gbstats, confseq and MABWiser come with their defaults. Each goes into an environment of its own
(build/peers, made by the first run, which takes a minute more); one that does not install or run is
said so. confseq is built from its source, which needs a compiler and Boost's headers (Debian:
libboost-dev).
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from experiment_peer import (
    ALPHA,
    EVERY,
    RATES,
    Alarms,
    Case,
    Floats,
    Integers,
    Mask,
    Widths,
    count_alarms,
    find_verdicts,
    measure_widths,
    play,
    read_streams,
    time_s,
)

from headrace.rollout.policies.policy import Feedback, with_floor
from headrace.rollout.policies.thompson import Thompson
from headrace.rollout.statistics.compare import Comparison, Units, bound_effect, bound_lift
from headrace.rollout.statistics.look import look, plan_metric, split_alpha
from headrace.rollout.statistics.wealth import CHALLENGER, CHAMPION, Odds, log_wealth_path
from headrace.spec import RolloutMetric

HEADRACE, Z_TEST = "Headrace", "z-test"
LIFT = 0.2
METRIC = RolloutMetric(name="clicks", of="clicked", effect=LIFT)
RATE = 0.1
Z, Z_POWER = 1.959964, 0.841621
MOST = 1.6
BUDGET_S = 1.0
PEERS = {
    "gbstats": [["gbstats==0.8.0", "numpy<2"]],
    # It pins a pybind11 that does not know Python 3.11, and uses a name that NumPy 2 dropped.
    "confseq": [
        ["numpy<2", "scipy<1.15", "pandas<3", "pybind11<3", "scikit-build", "cmake<4", "ninja"],
        ["setuptools<81", "wheel"],
        ["--no-build-isolation", "confseq==0.0.11"],
    ],
    "mabwiser": [["mabwiser==2.7.4"]],
}


class Sizes(NamedTuple):
    """How many runs each figure is over."""

    same: int = 1_000
    planned: int = 1_000
    widths: int = 20
    bandits: int = 30


QUICK = Sizes(same=40, planned=100, widths=4, bandits=3)
DELAYS = (0, 10_000)
PREDICTIONS = 100_000


def fixed_sample(rate: float, lift: float) -> int:
    """Return how many units a z-test takes that is looked at once, at 50/50, for 80 % power."""
    higher = rate * (1 + lift)
    spread = rate * (1 - rate) + higher * (1 - higher)
    return round(2 * (Z + Z_POWER) ** 2 * spread / (higher - rate) ** 2)


class Plan(NamedTuple):
    """The streams that are judged, and the delays of the bandits."""

    same: list[Case]
    planned: Case
    widths: list[Case]
    look: Case
    delays: tuple[int, ...]


def plan_streams(sizes: Sizes) -> Plan:
    """Plan all streams."""
    same = [
        Case(f"same-{rate}-{share}.npy", rate, share, 0.0, sizes.same, 20_000)
        for rate in (0.01, 0.1, 0.5)
        for share in (0.5, 0.05)
    ]
    most = round(MOST * fixed_sample(RATE, LIFT))
    planned = Case("planned.npy", RATE, 0.5, LIFT, sizes.planned, most)
    widths = [
        Case(f"width-{units}.npy", RATE, 0.5, 0.0, sizes.widths, units)
        for units in (1_000, 10_000, 100_000)
    ]
    long = Case("look.npy", RATE, 0.5, LIFT, 1, 1_000_000)
    return Plan(same, planned, widths, long, DELAYS)


def write_streams(folder: Path, plan: Plan, sizes: Sizes) -> None:
    """Draw all streams, each with a seed of its own."""
    cases = [*plan.same, plan.planned, *plan.widths, plan.look]
    for seed, case in enumerate(cases):
        chance = np.random.default_rng(seed)
        codes = np.zeros((case.runs, case.units), dtype=np.uint8)
        for run in codes:
            own = chance.random(case.units) < case.share
            rates = case.rate * np.where(own, 1 + case.lift, 1.0)
            run[:] = own + 2 * (chance.random(case.units) < rates)
        np.save(folder / case.file, codes)

    chance = np.random.default_rng(len(cases))
    shape = (sizes.bandits, PREDICTIONS, len(RATES))
    np.save(folder / "bandits.npy", (chance.random(shape) < RATES).astype(np.uint8))
    (folder / "plan.json").write_text(json.dumps(plan._asdict()))


def to_units(own: Mask, value: Floats, share: float) -> Units:
    """Turn a stream into closed units; an outcome is known before the next unit is exposed."""
    count = len(own)
    at = np.arange(count) * 1_000
    key = np.random.default_rng(count).integers(0, 2**63, count).astype(np.uint64)
    return Units(
        key=key,
        exposed_us=at,
        closed_us=at + 1,
        arm=np.where(own, CHALLENGER, CHAMPION),
        propensity=np.where(own, share, 1 - share),
        value=value,
        covariate=np.full(count, np.nan),
    )


def judge(own: Mask, value: Floats, share: float) -> dict[str, Alarms]:
    """Judge a stream by wealth, and by a z-test that is looked at again and again."""
    odds = Odds(1 - share, share)
    cells = Comparison(plan_metric(METRIC, odds, None)).score_each(to_units(own, value, share))
    better = log_wealth_path(cells, odds, "above") >= -math.log(ALPHA / 2)
    worse = log_wealth_path(cells, odds, "below") >= -math.log(ALPHA / 2)
    z = find_z(own, value)
    return {HEADRACE: Alarms(better, worse), Z_TEST: Alarms(z > Z, z < -Z)}


def find_z(own: Mask, value: Floats) -> Floats:
    """Return the z of two proportions, pooled, after every unit; 0 where it has none."""
    challengers = np.cumsum(own)
    champions = np.cumsum(~own)
    both = np.cumsum(value) / np.arange(1, len(own) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.cumsum(value * own) / challengers - np.cumsum(value * ~own) / champions
        z = gap / np.sqrt(both * (1 - both) * (1 / challengers + 1 / champions))
    return np.where(np.isfinite(z), z, 0.0)


def measure(own: Mask, value: Floats, share: float) -> dict[str, Widths]:
    """Measure the confidence sequences, and the intervals of a z-test that hold at one look."""
    odds = Odds(1 - share, share)
    comparison = Comparison(plan_metric(METRIC, odds, None))
    comparison.add(to_units(own, value, share))
    cells = comparison.cells()
    intervals = (bound(cells, odds, ALPHA / 2) for bound in (bound_lift, bound_effect))
    widths = [
        math.inf if one.low is None or one.high is None else one.high - one.low for one in intervals
    ]

    means = [float(value[arm].mean()) for arm in (~own, own)]
    errors = [
        mean * (1 - mean) / int(arm.sum()) for mean, arm in zip(means, (~own, own), strict=True)
    ]
    effect = 2 * Z * math.sqrt(sum(errors))
    ratio = means[1] / means[0]
    lift = 2 * Z * math.sqrt(errors[1] + errors[0] * ratio**2) / means[0]
    return {HEADRACE: Widths(*widths), Z_TEST: Widths(lift, effect)}


def time_look(folder: Path, case: Case) -> dict[str, dict[str, float]]:
    """Time a look of Headrace and of a z-test: from raw units to verdict and interval."""
    own, value = read_streams(folder, case)[0]
    units = to_units(own, value, case.share)
    odds = Odds(1 - case.share, case.share)

    def judge_units() -> None:
        comparison = Comparison(plan_metric(METRIC, odds, None))
        comparison.add(units)
        result = look(comparison, METRIC, "challenger", split_alpha(ALPHA, 1, 1))
        assert result.shown
        assert result.units == case.units

    def judge_counts() -> None:
        means = [value[arm].mean() for arm in (~own, own)]
        errors = [value[arm].var() / arm.sum() for arm in (~own, own)]
        assert (means[1] - means[0]) / math.sqrt(sum(errors)) > Z

    taken = {HEADRACE: time_s(judge_units), Z_TEST: time_s(judge_counts)}
    return {name: {"verdict": one, "interval": one} for name, one in taken.items()}


class ThompsonPlayer:
    """Thompson sampling with the shares that a service publishes, and no floor."""

    def __init__(self, seed: int) -> None:
        self._policy = Thompson()
        self._state = self._policy.start(len(RATES), 0)
        self._chance = np.random.default_rng(seed)

    def pick(self, count: int) -> Integers:
        """See `Player`."""
        seed = int(self._chance.integers(0, 2**31))
        weights = with_floor(self._policy.weigh(self._state, (), seed), 0.0)
        return self._chance.choice(len(RATES), count, p=weights)

    def learn(self, arms: Integers, values: Floats) -> None:
        """See `Player`."""
        feedback = Feedback(arms, values, np.zeros((len(arms), 0)))
        self._state = self._policy.update(self._state, feedback)


def play_run(folder: Path, run: int, delay: int) -> float:
    """Play one run of the bandits by Thompson sampling."""
    return play(np.load(folder / "bandits.npy", mmap_mode="r")[run], delay, ThompsonPlayer(run))


def find_python(peer: str) -> Path:
    """Find the Python of a peer's environment, and make the environment where there is none."""
    home = Path(__file__).parent.parent / "build" / "peers" / peer
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        print(f"installing {peer}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        for packages in PEERS[peer]:
            run_command([python, "-m", "pip", "install", "--quiet", *packages])
        done.touch()
    return python


def run_command(command: Sequence[str | Path]) -> str:
    """Run a command and return what it prints; its error is one line of what it says."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean)
    if done.returncode:
        raise RuntimeError(find_reason(done.stderr))
    return done.stdout


def find_reason(text: str) -> str:
    """Find the line that says why: a part that a build did not find, else the last line.

    >>> find_reason("-- Could NOT find Boost (missing: Boost_INCLUDE_DIR)\\nERROR: no wheel")
    'Could NOT find Boost (missing: Boost_INCLUDE_DIR)'
    """
    lines = [line.strip(" -") for line in text.splitlines() if line.strip()]
    missing = [line for line in lines if "Could NOT find" in line]
    return [*missing, *lines[-1:], "it says nothing"][0]


def run_peer(python: Path, peer: str, folder: Path, part: str) -> Any:
    """Run one part of a peer in its environment."""
    script = Path(__file__).with_name("experiment_peer.py")
    printed = run_command([python, "-W", "ignore", script, peer, folder, part])
    return json.loads(printed.split("RESULT")[1])


class Found:
    """What was found, by row; and why a peer is not there."""

    def __init__(self) -> None:
        self.same: dict[str, dict[str, int]] = {}
        self.planned: dict[str, list[int | None]] = {}
        self.widths: dict[str, dict[str, Sequence[float | None]]] = {}
        self.looks: dict[str, dict[str, float]] = {}
        self.regrets: dict[str, dict[str, list[float]]] = {}
        self.failed: dict[str, str] = {}

    def add(self, found: dict[str, Any]) -> None:
        """Add what one judge found of all streams."""
        for file, alarms in found["same"].items():
            self.same.setdefault(file, {}).update(alarms)
        for file, widths in found["widths"].items():
            self.widths.setdefault(file, {}).update(widths)
        self.planned.update(found["planned"])


Ours = dict[str, dict[str, Future[Any]]]


def submit(pool: ProcessPoolExecutor, folder: Path, plan: Plan, sizes: Sizes) -> Ours:
    """Submit Headrace's part of the work, in pieces, the longest first."""
    return {
        "same": {case.file: pool.submit(count_alarms, folder, case, judge) for case in plan.same},
        "planned": {"all": pool.submit(find_verdicts, folder, plan.planned, judge)},
        "widths": {
            case.file: pool.submit(measure_widths, folder, case, measure) for case in plan.widths
        },
        "bandits": {
            f"{delay} {run}": pool.submit(play_run, folder, run, delay)
            for delay in DELAYS
            for run in range(sizes.bandits)
        },
    }


def collect(ours: Ours, found: Found) -> None:
    """Collect what Headrace and the z-test found."""
    found.add(
        {
            "same": {file: one.result() for file, one in ours["same"].items()},
            "planned": ours["planned"]["all"].result(),
            "widths": {file: one.result() for file, one in ours["widths"].items()},
        }
    )
    regrets: dict[str, list[float]] = {}
    for key, one in ours["bandits"].items():
        regrets.setdefault(key.split()[0], []).append(one.result())
    found.regrets["Headrace, thompson"] = regrets


def judge_all(folder: Path, plan: Plan, sizes: Sizes) -> Found:
    """Let all judge all streams, on two cores; looks are timed after that, one by one."""
    found = Found()
    pythons = {}
    for peer in PEERS:
        try:
            pythons[peer] = find_python(peer)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            found.failed[peer] = f"did not install: {error}"

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        ours = submit(pool, folder, plan, sizes)
        theirs = {
            peer: pool.submit(run_peer, python, peer, folder, part_of(peer))
            for peer, python in pythons.items()
        }
        collect(ours, found)
        for peer, future in theirs.items():
            try:
                add_peer(peer, future.result(), found)
            except RuntimeError as error:
                found.failed[peer] = f"did not run: {error}"

    found.looks.update(time_look(folder, plan.look))
    for peer in ("gbstats", "confseq"):
        if peer in pythons and peer not in found.failed:
            try:
                found.looks[peer] = run_peer(pythons[peer], peer, folder, "look")
            except RuntimeError as error:
                found.failed[peer] = f"did not run: {error}"
    return found


def part_of(peer: str) -> str:
    """Return the part of the work that a peer does beside the others."""
    return "bandits" if peer == "mabwiser" else "streams"


def add_peer(peer: str, result: Any, found: Found) -> None:
    """Add what a peer found."""
    if peer == "mabwiser":
        found.regrets["MABWiser, ThompsonSampling"] = result
    else:
        found.add(result)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    print(f"\n## {title}\n")
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def write_percent(share: float, digits: int = 0) -> str:
    """Write a share in percent.

    >>> write_percent(0.05)
    '5 %'
    """
    return f"{100 * share:.{digits}f} %"


def show_same(found: Found, plan: Plan) -> None:
    """Print the shares of false alarms."""
    first = plan.same[0]
    head = [
        f"{write_percent(case.rate)}, {100 * (1 - case.share):.0f}/{100 * case.share:.0f}"
        for case in plan.same
    ]
    rows = []
    for name in found.same[first.file]:
        shares = [found.same[case.file][name] / case.runs for case in plan.same]
        rows.append([name, *(write_percent(share, 1) for share in shares)])
    units = f"{first.units:,} units, a look after each, {first.runs:,} runs"
    show(f"False alarms: {units}; rate, shares", ["", *head], rows)


def show_planned(found: Found, plan: Plan, folder: Path) -> None:
    """Print how long a verdict takes, by the fixed sample."""
    fixed = fixed_sample(RATE, LIFT)
    rows = [[f"{Z_TEST}, one look", "1.00", "1.00", write_percent(power_of_one_look(plan, folder))]]
    for name, verdicts in found.planned.items():
        if name == Z_TEST:
            continue  # Looked at again and again, it is no test.
        units = np.array([math.inf if one is None else one for one in verdicts]) / fixed
        late = float(np.quantile(units, 0.8, method="higher"))
        rows.append(
            [
                name,
                f"{np.minimum(units, MOST).mean():.2f}",
                f"{late:.2f}" if math.isfinite(late) else f"> {MOST}",
                write_percent(float(np.isfinite(units).mean())),
            ]
        )
    title = f"Units to a verdict: {write_percent(RATE)}, lift {write_percent(LIFT)}, 50/50"
    head = ["", f"mean, at most {MOST}", "80th percentile", f"power within {MOST}"]
    show(f"{title}; fixed sample {fixed:,} = 1; {plan.planned.runs:,} runs", head, rows)


def power_of_one_look(plan: Plan, folder: Path) -> float:
    """Return how often a z-test that is looked at once, after the fixed sample, finds the lift."""
    at = fixed_sample(RATE, LIFT) - 1
    streams = read_streams(folder, plan.planned)
    return float(np.mean([find_z(own, value)[at] > Z for own, value in streams]))


def show_widths(found: Found, plan: Plan) -> None:
    """Print the widths of the intervals."""
    rows = []
    for name in found.widths[plan.widths[0].file]:
        of_lift, of_effect = (
            [write_width(found.widths[case.file][name][at]) for case in plan.widths]
            for at in (0, 1)
        )
        label = f"{name}, one look" if name == Z_TEST else name
        rows.append([label, *of_lift, *of_effect])
    sizes = [f"{case.units:,}" for case in plan.widths]
    head = ["", *(f"lift, {size}" for size in sizes), *(f"effect, {size}" for size in sizes)]
    title = (
        f"Width of the 95 % interval, in points: {write_percent(RATE)}, no effect, 50/50; median of"
    )
    show(f"{title} {plan.widths[0].runs} runs; units", head, rows)


def write_width(width: float | None) -> str:
    """Write a width in points of a percent."""
    if width is None:
        return ""
    return f"{width * 100:.2f}" if math.isfinite(width) else "open"


def show_looks(found: Found, plan: Plan) -> None:
    """Print how long a look takes, and whether the budget is held."""
    rows = [
        [name, f"{taken['verdict']:.3f}", f"{taken['interval']:.3f}"]
        for name, taken in found.looks.items()
    ]
    title = f"One look at {plan.look.units:,} raw units, s; median of 3 (confseq's interval: once)"
    show(title, ["", "verdict", "verdict and interval"], rows)
    taken = found.looks[HEADRACE]["interval"]
    print(f"\nBudget {BUDGET_S:g} s: {'held' if taken <= BUDGET_S else 'missed'} ({taken:.2f} s).")


def show_bandits(found: Found, sizes: Sizes) -> None:
    """Print the regret of the bandits, with the standard error of the mean."""
    rows = []
    for name, by_delay in found.regrets.items():
        cells = []
        for delay in DELAYS:
            regrets = np.array(by_delay[str(delay)])
            error = regrets.std(ddof=1) / math.sqrt(len(regrets))
            cells += [f"{regrets.mean():.0f} ± {error:.0f}", f"{regrets.max():.0f}"]
        rows.append([name, *cells])
    equal = PREDICTIONS * (max(RATES) - sum(RATES) / len(RATES))
    rows.append(["equal shares", *[f"{equal:.0f}", ""] * len(DELAYS)])
    arms = ", ".join(write_percent(rate) for rate in RATES)
    title = f"Regret of bandits: arms of {arms}; {PREDICTIONS:,} predictions, weights every {EVERY}"
    head = [f"{what}, delay {delay:,}" for delay in DELAYS for what in ("mean", "worst")]
    show(f"{title}; {sizes.bandits} runs", ["", *head], rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    sizes = QUICK if parser.parse_args().quick else Sizes()
    begin = time.perf_counter()
    plan = plan_streams(sizes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_streams(folder, plan, sizes)
        found = judge_all(folder, plan, sizes)
        show_same(found, plan)
        show_planned(found, plan, folder)
        show_widths(found, plan)
        show_looks(found, plan)
        show_bandits(found, sizes)
    for peer, reason in found.failed.items():
        print(f"\n{peer} {reason}")
    print(f"\n{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
