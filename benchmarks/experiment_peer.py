"""Judge the streams of `experiment.py` as a peer does, in the peer's own environment.

    python experiment_peer.py PEER FOLDER PART

PEER is gbstats, confseq or mabwiser; PART is streams, look or bandits. Prints RESULT and JSON. The
first half, which knows no peer, is used by `experiment.py` too: so all are judged alike.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
ALPHA = 0.05
RATES = (0.05, 0.04, 0.03)
EVERY = 200


class Case(NamedTuple):
    """Streams in one file, `(runs, units)` of arm + 2 * outcome; `share` is the challenger's."""

    file: str
    rate: float
    share: float
    lift: float
    runs: int
    units: int


class Alarms(NamedTuple):
    """After which units the challenger is found better, and worse: `(N,)` each."""

    better: Mask
    worse: Mask


class Widths(NamedTuple):
    """How wide the intervals of lift and effect are; infinite where open, None where not given."""

    lift: float | None
    effect: float | None


Judge = Callable[[Mask, Floats, float], dict[str, Alarms]]
"""Judge a stream after every unit: whether it is the challenger's, the outcome, the share."""
Measure = Callable[[Mask, Floats, float], dict[str, Widths]]
"""Measure the intervals at the end of a stream."""


def read_streams(folder: Path, case: Case) -> list[tuple[Mask, Floats]]:
    """Read the arm and the outcome of each unit, run by run."""
    codes = np.load(folder / case.file)
    return [((run & 1).astype(bool), (run >> 1).astype(np.float64)) for run in codes]


def count_alarms(folder: Path, case: Case, judge: Judge) -> dict[str, int]:
    """Count the streams in which there is ever an alarm."""
    counts: dict[str, int] = {}
    for own, value in read_streams(folder, case):
        for name, alarms in judge(own, value, case.share).items():
            counts[name] = counts.get(name, 0) + bool((alarms.better | alarms.worse).any())
    return counts


def find_verdicts(folder: Path, case: Case, judge: Judge) -> dict[str, list[int | None]]:
    """Find after how many units the challenger is found better, None where it never is."""
    found: dict[str, list[int | None]] = {}
    for own, value in read_streams(folder, case):
        for name, alarms in judge(own, value, case.share).items():
            units = int(alarms.better.argmax()) + 1 if alarms.better.any() else None
            found.setdefault(name, []).append(units)
    return found


def measure_widths(folder: Path, case: Case, measure: Measure) -> dict[str, Widths]:
    """Measure the median width of the intervals over all streams."""
    found: dict[str, list[Widths]] = {}
    for own, value in read_streams(folder, case):
        for name, widths in measure(own, value, case.share).items():
            found.setdefault(name, []).append(widths)

    medians = {}
    for name, all_widths in found.items():
        lifts = [one.lift for one in all_widths if one.lift is not None]
        effects = [one.effect for one in all_widths if one.effect is not None]
        medians[name] = Widths(
            statistics.median(lifts) if lifts else None,
            statistics.median(effects) if effects else None,
        )
    return medians


def time_s(call: Callable[[], object], repeats: int = 3) -> float:
    """Time a call: the median of its repeats, in seconds."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


class Player(Protocol):
    """A bandit that is asked for the arms of a batch, and learns from what has closed."""

    def pick(self, count: int) -> Integers:
        """Return the arms of the next rows `(N,)`."""
        ...

    def learn(self, arms: Integers, values: Floats) -> None:
        """Learn from closed rows: `(N,)` each."""
        ...


def play(outcomes: npt.NDArray[np.uint8], delay: int, player: Player) -> float:
    """Play a stream of `outcomes (N, K)`, of which one closes `delay` rows later; sum the regret.

    Regret is by the rates of the arms, not by the luck of the draw.
    """
    count = len(outcomes)
    arms = np.zeros(count, dtype=np.int64)
    closed = 0
    for start in range(0, count, EVERY):
        until = max(start - delay, 0)
        if until > closed:
            rows = np.arange(closed, until)
            player.learn(arms[rows], outcomes[rows, arms[rows]].astype(np.float64))
            closed = until
        end = min(start + EVERY, count)
        arms[start:end] = player.pick(end - start)
    return float((max(RATES) - np.array(RATES)[arms]).sum())


class Totals:
    """A proportion of gbstats after every unit: the attributes that its tests read, as arrays."""

    def __init__(self, own: Mask, value: Floats) -> None:
        self.n = np.cumsum(own).astype(np.float64)
        self.sum = np.cumsum(value * own)
        self.mean = self.sum / np.maximum(self.n, 1)
        self.unadjusted_mean = self.mean
        self.variance = self.mean * (1 - self.mean)


class Gbstats:
    """GrowthBook's engine with sequential testing, as it comes: a tuning parameter of 5,000 units.

    Its own test is given all looks at once as arrays; two looks of each stream are compared with
    what it says of plain numbers. GrowthBook shows a result once an arm has 150 conversions, which
    its engine knows nothing of: so there are two rows.
    """

    NAME = "gbstats"
    SHOWN = "gbstats, from 150 conversions on"
    _LEAST = 150

    def __init__(self) -> None:
        from gbstats.frequentist import tests  # type: ignore[import-not-found]
        from gbstats.models import statistics as models  # type: ignore[import-not-found]

        class OfArrays(tests.SequentialTwoSidedTTest):  # type: ignore[misc]
            """Its test, but for an `if` on the champion's mean, which arrays do not have."""

            @property
            def point_estimate(self) -> Any:
                return (self.stat_b.mean - self.stat_a.mean) / self.stat_a.mean

        self._tests, self._models, self._of_arrays = tests, models, OfArrays

    def judge(self, own: Mask, value: Floats, share: float) -> dict[str, Alarms]:
        """See `Judge`."""
        champion, challenger = Totals(~own, value), Totals(own, value)
        with np.errstate(divide="ignore", invalid="ignore"):
            test = self._of_arrays(champion, challenger, self._tests.SequentialConfig())
            low, high = test.confidence_interval
        known = (champion.variance > 0) & (challenger.variance > 0)
        for at in (len(own) // 10 - 1, len(own) - 1):
            self._check(champion, challenger, at, (low[at], high[at]) if known[at] else (0, 0))

        enough = np.maximum(champion.sum, challenger.sum) >= self._LEAST
        return {
            self.NAME: Alarms(known & (low > 0), known & (high < 0)),
            self.SHOWN: Alarms(known & enough & (low > 0), known & enough & (high < 0)),
        }

    def _check(
        self, champion: Totals, challenger: Totals, at: int, ends: tuple[float, float]
    ) -> None:
        counts = [(int(arm.n[at]), float(arm.sum[at])) for arm in (champion, challenger)]
        result = self._test(counts, "relative")
        if not np.allclose(result.ci, ends):
            raise ValueError(f"the interval is {result.ci} of numbers, {ends} of arrays")

    def _test(self, counts: list[tuple[int, float]], kind: str) -> Any:
        """Return what gbstats says of the counts of two arms: units and conversions."""
        arms = [self._models.ProportionStatistic(n=n, sum=total) for n, total in counts]
        config = self._tests.SequentialConfig(difference_type=kind)
        return self._tests.SequentialTwoSidedTTest(*arms, config).compute_result()

    def measure(self, own: Mask, value: Floats, share: float) -> dict[str, Widths]:
        """See `Measure`."""
        lift, effect = (self._interval(own, value, kind) for kind in ("relative", "absolute"))
        return {self.NAME: Widths(lift[1] - lift[0], effect[1] - effect[0])}

    def _interval(self, own: Mask, value: Floats, kind: str) -> list[float]:
        counts = [(int(arm.sum()), float(value[arm].sum())) for arm in (~own, own)]
        ends: list[float] = self._test(counts, kind).ci
        return ends

    def look(self, own: Mask, value: Floats, share: float) -> dict[str, float]:
        """Time a look: verdict and interval come together."""
        taken = time_s(lambda: self._interval(own, value, "relative"))
        return {"verdict": taken, "interval": taken}


class Confseq:
    """The betting martingale of confseq with its own bets, on the difference of two arms.

    The library has means of one sample of values in [0, 1]. An outcome divided by the propensity
    of its arm, negative in the champion's, has the effect as its mean; that is scaled to [0, 1].
    """

    NAME = "confseq"
    _PRECISION = 1e-6

    def __init__(self) -> None:
        from confseq import betting  # type: ignore[import-not-found]

        self._mart = betting.betting_mart

    def judge(self, own: Mask, value: Floats, share: float) -> dict[str, Alarms]:
        """See `Judge`."""
        x = self._scale(own, value, share)
        # Scaled, no effect is where the share is.
        better = self._grow(x, share, 1) >= 2 / ALPHA
        worse = self._grow(x, share, 0) >= 2 / ALPHA
        return {self.NAME: Alarms(better, worse)}

    def _scale(self, own: Mask, value: Floats, share: float) -> Floats:
        weighed = np.where(own, value / share, -value / (1 - share))
        return np.asarray((weighed + 1 / (1 - share)) * (1 - share) * share)

    def _grow(self, x: Floats, mean: float, side: int) -> Floats:
        """Return the wealth after every unit, of a gambler for a higher (1) or lower (0) mean."""
        with np.errstate(all="ignore"):
            return np.asarray(self._mart(x, mean, alpha=ALPHA / 2, theta=side))

    def measure(self, own: Mask, value: Floats, share: float) -> dict[str, Widths]:
        """See `Measure`."""
        low, high = self._bound(self._scale(own, value, share))
        return {self.NAME: Widths(None, (high - low) / (share * (1 - share)))}

    def _bound(self, x: Floats) -> tuple[float, float]:
        """Find where the last wealth reaches 2/ALPHA: what `betting_cs` finds on a grid."""
        return self._cross(x, 1, 0.0), self._cross(x, 0, 1.0)

    def _cross(self, x: Floats, side: int, limit: float) -> float:
        """Bisect between the mean and a limit."""
        inside, outside = float(x.mean()), limit
        while abs(inside - outside) > self._PRECISION:
            middle = (inside + outside) / 2
            if self._grow(x, middle, side)[-1] < 2 / ALPHA:
                inside = middle
            else:
                outside = middle
        return outside

    def look(self, own: Mask, value: Floats, share: float) -> dict[str, float]:
        """Time a look: both martingales; and once, as it takes seconds, the interval too."""

        def bound() -> None:
            self.judge(own, value, share)
            self.measure(own, value, share)

        return {
            "verdict": time_s(lambda: self.judge(own, value, share)),
            "interval": time_s(bound, repeats=1),
        }


class Mabwiser:
    """ThompsonSampling of MABWiser: a draw for each row, `partial_fit` for each batch."""

    def __init__(self, seed: int) -> None:
        from mabwiser.mab import MAB, LearningPolicy  # type: ignore[import-not-found]

        self._bandit = MAB(list(range(len(RATES))), LearningPolicy.ThompsonSampling(), seed=seed)
        self._chance = np.random.default_rng(seed)
        self._is_fitted = False

    def pick(self, count: int) -> Integers:
        """See `Player`; before it has learned anything, MABWiser picks none."""
        if not self._is_fitted:
            return self._chance.integers(0, len(RATES), count)
        # One row a context: it draws anew for each, and looks at none.
        picked = self._bandit.predict(np.zeros((count, 1)))
        return np.array(picked, dtype=np.int64).reshape(count)

    def learn(self, arms: Integers, values: Floats) -> None:
        """See `Player`."""
        fit = self._bandit.partial_fit if self._is_fitted else self._bandit.fit
        fit(arms, values)
        self._is_fitted = True


def judge_streams(peer: Gbstats | Confseq, folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Judge all streams of the plan."""
    same = [Case(*case) for case in plan["same"]]
    widths = [Case(*case) for case in plan["widths"]]
    return {
        "same": {case.file: count_alarms(folder, case, peer.judge) for case in same},
        "planned": find_verdicts(folder, Case(*plan["planned"]), peer.judge),
        "widths": {case.file: measure_widths(folder, case, peer.measure) for case in widths},
    }


def main() -> None:
    """Run one part of one peer."""
    name, folder, part = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    plan = json.loads((folder / "plan.json").read_text())
    if part == "bandits":
        outcomes = np.load(folder / "bandits.npy")
        found: Any = {
            str(delay): [play(one, delay, Mabwiser(seed)) for seed, one in enumerate(outcomes)]
            for delay in plan["delays"]
        }
    else:
        peer = Gbstats() if name == "gbstats" else Confseq()
        if part == "look":
            case = Case(*plan["look"])
            found = peer.look(*read_streams(folder, case)[0], case.share)
        else:
            found = judge_streams(peer, folder, plan)
    print("RESULT" + json.dumps(found))


if __name__ == "__main__":
    main()
