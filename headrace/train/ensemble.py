"""The best few candidates averaged, where that certainly pays.

Caruana et al. (2004), "Ensemble selection from libraries of models". Candidates are picked
greedily, with replacement, so that the number of picks becomes the weight. Costs of the average
after each pick, of three candidates a, b and c:

    pick   +a     +b     +c     picked   average
    1      0.40   0.42   0.50     a      a
    2      0.40   0.36   0.39     b      (a + b) / 2
    3      0.37   0.38   0.35     c      (a + b + c) / 3
    4      0.36   0.36   0.36     none is below 0.35: stop; the weights are 1/3 each

The best on these rows looks better than it is. So the same picking is first tried by five folds:
what four folds pick predicts the fifth, and so does the best single candidate of the four. Only if
the average certainly wins on the rows of all five does the model become an average.
"""

import numpy as np
from msgspec import structs

from headrace.arrays import Floats, Integers
from headrace.spec import Member
from headrace.tasks import Truth
from headrace.train.trial import Candidate, Objective

POOL = 12
"""The best candidates, from which an average is picked."""
_PICKS = 12
_MOST_MEMBERS = 4
_MOST_OF_A_FAMILY = 3
_FOLDS = 5
_MOST_ROWS = 30_000


def average_scores(scores: list[Floats], weights: list[float]) -> Floats:
    """Average scores, `(N,)` or `(N, K)` each, by weight; a single one is returned as it is.

    >>> average_scores([np.array([0.2, 0.4]), np.array([0.6, 0.8])], [3.0, 1.0]).round(3)
    array([0.3, 0.5])
    """
    if len(scores) == 1:
        return scores[0]
    share = np.array(weights) / sum(weights)
    return np.asarray(sum(weight * each for weight, each in zip(share, scores, strict=True)))


def select_members(
    candidates: list[Candidate], truth: Truth, objective: Objective, seed: int
) -> list[Member]:
    """Select the members of the average, with their weights.

    Parameters: the truth of the rows that the candidates predicted. Returns no member where the
    average is not certainly better than the best candidate alone.
    """
    pool = _fill_pool(candidates)
    if len(pool) < 2:
        return []

    fold_of_row = truth.divide(_FOLDS, seed)
    average = np.empty_like(pool[0].scores)
    single = np.empty_like(pool[0].scores)
    for fold in range(_FOLDS):
        fit = np.flatnonzero(fold_of_row != fold)
        holdout = np.flatnonzero(fold_of_row == fold)
        picks = _pick_greedily(pool, truth, objective, fit)
        picked = [pool[at].scores[holdout] for at in picks]
        average[holdout] = average_scores(picked, list(picks.values()))
        best = _find_best(pool, truth, objective, fit)
        single[holdout] = pool[best].scores[holdout]

    low, _ = objective.gain(truth, average, single)
    if not low > 0:
        return []
    picks = _pick_greedily(pool, truth, objective, np.arange(len(truth)))
    total = sum(picks.values())
    return [structs.replace(pool[at].member, weight=count / total) for at, count in picks.items()]


def _fill_pool(candidates: list[Candidate]) -> list[Candidate]:
    """Return the best candidates, and after them the best of each family."""
    ranked = sorted(candidates, key=lambda candidate: candidate.cost)
    best = ranked[:POOL]
    # A model that errs differently improves an average more than a slightly better one.
    diverse = []
    for family in sorted({candidate.member.family for candidate in ranked}):
        of_family = [candidate for candidate in ranked if candidate.member.family == family]
        for candidate in of_family[:_MOST_OF_A_FAMILY]:
            if not any(candidate is chosen for chosen in best):
                diverse.append(candidate)
    return best + diverse


def _find_best(pool: list[Candidate], truth: Truth, objective: Objective, rows: Integers) -> int:
    """Find the candidate of the pool with the lowest cost on some rows."""
    own = truth.select(rows)
    costs = [objective.cost(own, candidate.scores[rows]) for candidate in pool]
    return int(np.argmin(costs))


def _pick_greedily(
    pool: list[Candidate], truth: Truth, objective: Objective, rows: Integers
) -> dict[int, float]:
    """Pick candidates as long as the average improves; return how often each was picked."""
    # Picking asks for a hundred costs and more; a part of many rows ranks candidates as well.
    rows = truth.thin_out(rows, _MOST_ROWS)
    truth = truth.select(rows)
    scores = [candidate.scores[rows] for candidate in pool]

    counts: dict[int, float] = {}
    total = np.zeros_like(scores[0])
    best = float("inf")
    for picked in range(_PICKS):
        # With all members chosen, further picks only shift the weights among them.
        choices = list(counts) if len(counts) == _MOST_MEMBERS else range(len(pool))
        costs = {at: objective.cost(truth, (total + scores[at]) / (picked + 1)) for at in choices}
        cheapest = min(costs, key=lambda at: costs[at])
        if not costs[cheapest] < best:
            break
        best = costs[cheapest]
        total += scores[cheapest]
        counts[cheapest] = counts.get(cheapest, 0.0) + 1
    return counts
