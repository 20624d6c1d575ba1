"""Sample-ratio mismatch: are units in the arms as often as the shares say?

A test that holds at every time at once (Lindon and Malek 2022, https://arxiv.org/abs/2011.03567):
a gambler believes in shares near the stated ones, spread as a Dirichlet distribution, and doubles
his money where the counts follow any of them rather than the stated ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from headrace.rollout.evidence import MismatchResult

_PRECISION = 1_000.0
"""How near the shares are in which the gambler believes, as a number of imagined units."""


def find_mismatch(shares: Mapping[str, float], counts: Mapping[str, int]) -> MismatchResult:
    """Compare the counts of first exposures by arm with the shares of the arms.

    >>> find_mismatch({"a": 0.5, "b": 0.5}, {"a": 52_000, "b": 48_000}).p < 0.001
    True
    """
    stated = {arm: share for arm, share in shares.items() if share > 0}
    numbers = [counts.get(arm, 0) for arm in stated]
    total = sum(numbers)
    found = {
        arm: number / total if total else 0.0 for arm, number in zip(stated, numbers, strict=True)
    }
    log_odds = log_bayes_factor(list(stated.values()), numbers)
    return MismatchResult(stated, found, float(min(1.0, np.exp(-log_odds))))


def log_bayes_factor(shares: Sequence[float], counts: Sequence[int]) -> float:
    """Return the logarithm of how much likelier counts are under the gambler's belief."""
    from scipy.special import gammaln

    stated = np.array(shares)
    found = np.array(counts, dtype=np.float64)
    prior = _PRECISION * stated
    believed = gammaln(prior.sum()) - gammaln(prior.sum() + found.sum())
    believed += (gammaln(prior + found) - gammaln(prior)).sum()
    return float(believed - (found * np.log(stated)).sum())
