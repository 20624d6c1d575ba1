"""The best few candidates averaged, where that pays for certain (Caruana et al., 2004, "Ensemble selection")."""

import numpy as np
from msgspec import structs

from headrace.arrays import Floats, Integers
from headrace.spec import Member
from headrace.train.trial import Candidate, Objective

POOL = 12
"""The best candidates, from which an average is picked."""
_PICKS, _MOST_MEMBERS, _FOLDS = 12, 4, 5
_MOST_ROWS = 30_000


def average_scores(scores: list[Floats], weights: list[float]) -> Floats:
    """The weighted mean of scores; a single one is itself."""
    if len(scores) == 1:
        return scores[0]
    share = np.array(weights) / sum(weights)
    return np.asarray(sum(weight * each for weight, each in zip(share, scores, strict=True)))


def select_members(
    candidates: list[Candidate], y: Floats, weight: Floats | None, judge: Objective, seed: int
) -> list[Member]:
    """The members of the average with their weights; none where it is not better for certain than
    the best alone.

    Candidates are picked greedily, with replacement, as long as the judge likes the average better.
    Whether that pays is told on rows that had no part in the picking: each fifth of the rows is
    predicted by what was picked, and by the best alone, on the others.
    """
    pool = _pool(candidates)
    if len(pool) < 2:
        return []
    dealt = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    together, alone = np.empty_like(pool[0].scores), np.empty_like(pool[0].scores)
    for fold in range(_FOLDS):
        seen, unseen = np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)
        shares = _greedy(pool, y, weight, judge, seen)
        together[unseen] = average_scores(
            [pool[at].scores[unseen] for at in shares], list(shares.values())
        )
        best = _best(pool, y, weight, judge, seen)
        alone[unseen] = pool[best].scores[unseen]
    low, _ = judge.gain(y, together, alone, weight)
    if not low > 0:
        return []
    shares = _greedy(pool, y, weight, judge, np.arange(len(y)))
    total = sum(shares.values())
    return [structs.replace(pool[at].member, weight=share / total) for at, share in shares.items()]


def _pool(candidates: list[Candidate]) -> list[Candidate]:
    """The best candidates, and the best of each family: what errs differently helps most."""
    ranked = sorted(candidates, key=lambda candidate: candidate.cost)
    families = {one.member.family for one in ranked}
    diverse = [
        one
        for family in sorted(families)
        for one in [one for one in ranked if one.member.family == family][:3]
    ]
    return ranked[:POOL] + [
        one for one in diverse if not any(one is other for other in ranked[:POOL])
    ]


def _best(
    pool: list[Candidate], y: Floats, weight: Floats | None, judge: Objective, rows: Integers
) -> int:
    costs = [
        judge.cost(y[rows], each.scores[rows], None if weight is None else weight[rows])
        for each in pool
    ]
    return int(np.argmin(costs))


def _greedy(
    pool: list[Candidate], y: Floats, weight: Floats | None, judge: Objective, rows: Integers
) -> dict[int, float]:
    """How often each candidate of the pool was picked."""
    rows = rows[:: max(1, len(rows) // _MOST_ROWS)]
    y, weight = y[rows], None if weight is None else weight[rows]
    scores = [each.scores[rows] for each in pool]
    counts: dict[int, float] = {}
    total, best = np.zeros_like(scores[0]), float("inf")
    for picked in range(_PICKS):
        open_to = list(counts) if len(counts) == _MOST_MEMBERS else range(len(pool))
        costs = {at: judge.cost(y, (total + scores[at]) / (picked + 1), weight) for at in open_to}
        at = min(costs, key=lambda one: costs[one])
        if not costs[at] < best:
            break
        best = costs[at]
        total += scores[at]
        counts[at] = counts.get(at, 0.0) + 1
    return counts
