"""Steers a rollout by hand: what a person asks for becomes a decision, or one clear error."""

from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import structs

from headrace.errors import InputError, nearest
from headrace.rollout.evidence import RolloutDecision
from headrace.rollout.state import Plan, Rollout, advance, begin, change_shares, redraw
from headrace.spec import Stage, check_shares

Command = Literal["next", "pause", "resume", "arms", "stop", "promote"]
_BY_HAND = "paused by hand"


def start(
    plan: Plan,
    rollout: Rollout | None,
    versions: tuple[int, int],
    now_us: int,
    stage: Stage | None = None,
) -> RolloutDecision:
    """Start a rollout of a version against the champion; raises `InputError` if one is live."""
    if rollout is not None:
        found = f"the rollout of version {rollout.challenger} is live"
        raise InputError("rollout start", found, "none", "`headrace rollout stop` ends it")
    after = begin(plan, versions, now_us, stage)
    champion, challenger = versions
    why = f"version {challenger} against champion {champion}: {after.stage}"
    if after.aa:
        why = f"champion {champion} against itself: {after.stage}"
    return RolloutDecision("start", challenger, why, after)


def steer(
    rollout: Rollout | None,
    do: str,
    now_us: int,
    shares: Mapping[str, float] | None = None,
    anew: bool = False,
) -> RolloutDecision:
    """Decide what a person asks of the live rollout.

    Parameters: `do`, one of `Command`; `shares` of the arms, for `arms`; `anew`, whether these draw
    all units by a new salt. Raises `InputError` for what cannot be done now, and `SpecError` for
    shares that are none.
    """
    if rollout is None:
        raise InputError(f"rollout {do}", "no rollout is live", "a live one", "start one first")
    match do:
        case "next":
            return _go_on(rollout, now_us)
        case "pause":
            return _pause(rollout)
        case "resume":
            return _resume(rollout, now_us)
        case "arms":
            return _change(rollout, dict(shares or {}), now_us, anew)
        case "stop":
            return RolloutDecision("stop", rollout.challenger, "by hand", None)
        case "promote":
            return _promote(rollout)
    known = list(get_args(Command))
    raise InputError("do", repr(do[:40]), f"one of: {', '.join(known)}", nearest(do, known))


def _go_on(rollout: Rollout, now_us: int) -> RolloutDecision:
    if rollout.paused is not None:
        raise InputError("rollout next", "it is paused", "one that goes on", "`resume` it first")
    following = advance(rollout, now_us)
    if following is None:
        found = f"{rollout.stage} is the last stage"
        raise InputError("rollout next", found, "a stage behind it", "`promote` ends it")
    why = f"on to {following.stage} by hand"
    return RolloutDecision("stage", rollout.challenger, why, following)


def _pause(rollout: Rollout) -> RolloutDecision:
    if rollout.paused is not None:
        raise InputError("rollout pause", "it is paused", "a rollout that goes on")
    paused = structs.replace(rollout, paused=_BY_HAND)
    return RolloutDecision("pause", rollout.challenger, "by hand", paused)


def _promote(rollout: Rollout) -> RolloutDecision:
    if rollout.aa:
        raise InputError("rollout promote", "the champion against itself", "another version")
    return RolloutDecision("promote", rollout.challenger, "by hand", None)


def _resume(rollout: Rollout, now_us: int) -> RolloutDecision:
    """Let a paused rollout go on; one that paused itself draws its units anew."""
    if rollout.paused is None:
        raise InputError("rollout resume", "it is not paused", "a rollout that is paused")
    if rollout.paused == _BY_HAND:
        after = structs.replace(rollout, paused=None)
        return RolloutDecision("resume", rollout.challenger, "by hand", after)
    why = "by hand; all units are drawn anew"
    return RolloutDecision("resume", rollout.challenger, why, redraw(rollout, now_us))


def _change(rollout: Rollout, shares: dict[str, float], now_us: int, anew: bool) -> RolloutDecision:
    where = "rollout arms"
    if rollout.stage == "shadow":
        raise InputError(where, "a shadow answers nobody", "a canary or a test", "`next` begins it")
    if rollout.phase.policy != "split":
        found = f"{rollout.phase.policy} sets the shares"
        raise InputError(where, found, "a test with `policy: split`")
    current = {arm.name: arm.share for arm in rollout.phase.arms}
    for name in shares:
        if name not in current and not name.startswith(f"{rollout.name}@"):
            known = list(current)
            expected = f"one of: {', '.join(known)}, or {rollout.name}@VERSION"
            raise InputError(where, f"no arm {name!r}", expected, nearest(name, known))
    whole = {**current, **shares}
    if "champion" not in shares:
        others = sum(share for name, share in whole.items() if name != "champion")
        whole["champion"] = 1.0 - others
    check_shares(whole, where)
    if rollout.stage == "canary" and whole["challenger"] < current["challenger"]:
        found = f"challenger={whole['challenger']:g}, less than {current['challenger']:g}"
        raise InputError(where, found, "a canary that does not shrink", "`stop` ends it")
    after = structs.replace(change_shares(rollout, whole, now_us, anew), paused=rollout.paused)
    text = ", ".join(f"{name}={share:g}" for name, share in whole.items())
    drawn = "; all units are drawn anew" if anew else ""
    return RolloutDecision("arms", rollout.challenger, f"{text} by hand{drawn}", after)
