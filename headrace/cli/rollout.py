"""Commands about rollouts: `status`, `feedback`, and the group `rollout`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.options import DirArgument, DirOption, JsonFlag, WhyOption
from headrace.cli.output import print_result
from headrace.errors import InputError


def status(
    dir: DirArgument = Path(),
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 seconds.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write the page of the live rollout, or of the last one.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what is live: how the arms of a rollout compare, and the verdict."""
    import msgspec

    from headrace.loop.by_hand import status as read_status
    from headrace.loop.page import write_page
    from headrace.report.rollout import describe_status

    while True:
        found = read_status(dir)
        text = describe_status(found)
        if page is not None:
            text += f"\n\nWrote {write_page(page, dir)}"
        print_result(msgspec.to_builtins(found), as_json, text)
        if not watch:
            return
        time.sleep(2.0)


def feedback(
    file: Annotated[str, typer.Argument(help="The table of outcomes.")],
    name: Annotated[
        str | None, typer.Option(help="The name of the outcomes; the target if left out.")
    ] = None,
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Take in outcomes of predictions from a table.

    Its columns are `prediction_id`, or the spec's id; `outcome`; and, where it has them, `name`,
    `outcome_id` and `time`.
    """
    from headrace.loop.feedback import feed_back

    taken = feed_back(file, name, dir)
    print_result({"taken": taken}, as_json, f"{taken} outcomes taken")


def start(
    model: Annotated[
        str | None, typer.Argument(help="The challenger, such as ads@4; the one that waits.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Begin in this stage.")] = None,
    aa: Annotated[bool, typer.Option("--aa", help="Set the champion against itself.")] = False,
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Start the rollout of a version against the champion."""
    from headrace.loop.by_hand import start_rollout
    from headrace.spec import STAGES

    if stage is not None and stage not in STAGES:
        raise InputError("--stage", repr(stage), f"one of: {', '.join(STAGES)}")
    known: Any = stage
    _print(start_rollout(model, dir, why, known, aa), as_json)


def next_(why: WhyOption = "", dir: DirOption = Path(), as_json: JsonFlag = False) -> None:
    """Go on to the next step or stage, whatever the evidence."""
    _steer("next", dir, why, as_json)


def pause(why: WhyOption = "", dir: DirOption = Path(), as_json: JsonFlag = False) -> None:
    """Pause the rollout: units keep their arms, and nothing but a stop is decided."""
    _steer("pause", dir, why, as_json)


def resume(why: WhyOption = "", dir: DirOption = Path(), as_json: JsonFlag = False) -> None:
    """Let a paused rollout go on."""
    _steer("resume", dir, why, as_json)


def arms(
    shares: Annotated[list[str], typer.Argument(help="The share of arms, such as challenger=0.3.")],
    redraw: Annotated[bool, typer.Option("--redraw", help="Draw all units anew.")] = False,
    why: WhyOption = "",
    dir: DirOption = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Change the shares of the arms; what is left is the champion's."""
    from headrace.loop.by_hand import steer_rollout

    _print(steer_rollout("arms", dir, why, _parse_shares(shares), redraw), as_json)


def stop(why: WhyOption = "", dir: DirOption = Path(), as_json: JsonFlag = False) -> None:
    """Stop the rollout: the champion answers everybody."""
    _steer("stop", dir, why, as_json)


def promote(why: WhyOption = "", dir: DirOption = Path(), as_json: JsonFlag = False) -> None:
    """End the rollout, and make its challenger the champion."""
    _steer("promote", dir, why, as_json)


def plan(
    dir: DirArgument = Path(),
    metric: Annotated[str | None, typer.Option(help="Plan by this metric.")] = None,
    effect: Annotated[
        float | None, typer.Option(help="Plan for this effect, a share of the mean.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say how long a test takes, and which effect it can show, by the units in the log."""
    import msgspec

    from headrace.loop.plan import plan_test

    found = plan_test(dir, metric, effect)
    print_result(msgspec.to_builtins(found), as_json, found.say)


def run(
    dir: DirArgument = Path(),
    of_service: Annotated[
        bool, typer.Option("--of-service", hidden=True, help="End with the service.")
    ] = False,
) -> None:
    """Run the controller, which judges and moves rollouts; `serve` starts it by itself."""
    import sys

    from headrace.loop.controller import run_controller

    run_controller(dir, lambda line: print(line, file=sys.stderr, flush=True), of_service)


def shadow(dir: DirArgument = Path()) -> None:
    """Score what is logged with the challenger of a rollout in its shadow stage."""
    from headrace.loop.shadow import run_shadow

    run_shadow(dir)


def _steer(do: str, dir: Path, why: str, as_json: bool) -> None:
    from headrace.loop.by_hand import steer_rollout

    _print(steer_rollout(do, dir, why), as_json)


def _print(decision: Any, as_json: bool) -> None:
    import msgspec

    print_result(msgspec.to_builtins(decision), as_json, f"{decision.action}: {decision.why}")


def _parse_shares(texts: list[str]) -> dict[str, float]:
    """Parse shares of arms, such as `challenger=0.3`."""
    shares = {}
    for text in texts:
        name, equals, share = text.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise InputError("rollout arms", repr(text), "ARM=SHARE, such as challenger=0.3")
    return shares
