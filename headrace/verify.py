"""Re-assessing a bundle anywhere: is it whole, does it still predict the same, is it as good and as fast as it says?"""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace import evaluate, features, predict
from headrace.bundle import TOLERANCE, Bundle, find_bundle, open_bundle, same_reply
from headrace.errors import DECODE_ERRORS, BundleError, Finding, HeadraceError, InputError
from headrace.spec import with_root
from headrace.store import check_replay
from headrace.workspace import Workspace

_REMOTE_BATCH, _PROBE_S = 500, 60
Rows = list[dict[str, Any]]


class Verification(Struct, frozen=True):
    """The outcome: a finding for each check, of severity `error` where it failed."""

    bundle: str
    passed: bool
    findings: list[Finding]


def verify(
    model: str | Path, folder: str | Path = ".", url: str | None = None, sources: bool = False
) -> Verification:
    """Checks a bundle: checksums, golden replies, parity with the stored predictions, metrics,
    window features through the online store, and, where the spec states one, latency.

    `url` names a live service that shall give the bundle's answers. What a bundle names (tables,
    queries, addresses) is read only where it lies in a workspace that this user made, or where
    `sources` says so. Raises `InputError` where there is no such bundle; what is wrong with one
    becomes a finding.
    """
    path = find_bundle(model, Path(folder))
    findings: list[Finding] = []
    try:
        bundle = open_bundle(path)
        bundle.check()
        findings.append(
            _said(
                "verify.sums",
                True,
                f"{len(bundle.manifest.files)} files are as they were written",
                {},
            )
        )
        findings += _checked(bundle, url, sources)
    except BundleError as error:
        findings.append(Finding("verify.sums", [], "error", str(error)))
    return Verification(
        str(path), all(finding.severity != "error" for finding in findings), findings
    )


def _checked(bundle: Bundle, url: str | None, sources: bool) -> list[Finding]:
    """What the model of a whole bundle answers; raises `BundleError` where its parts do not go together."""
    predictor = predict.make_predictor(bundle)
    if not _is_own(bundle):
        _probe(bundle.path / "holdout.parquet")
    ask = predictor.predict_dicts if url is None else _service(url)
    holdout, answers = bundle.holdout()
    try:
        findings = [_golden(bundle, ask)]
        tested = (
            predictor.predict_frame(holdout) if url is None else _by_dicts(predictor, holdout, ask)
        )
        findings.append(_parity(predictor, answers, tested))
        findings.append(_metrics(bundle, predictor, holdout, tested))
    except (BundleError, MemoryError):
        raise
    except Exception as error:  # sums were right, but whoever made them may have put in anything
        if isinstance(error, HeadraceError) and url is not None:
            raise
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise BundleError(
            str(bundle.path), f"its parts do not go together ({said})", "a bundle of Headrace"
        ) from None
    findings += _online(bundle, holdout, sources)
    if bundle.system.requirements.latency_p99_ms is not None:
        findings.append(
            _latency(bundle.system.requirements.latency_p99_ms, holdout, predictor, ask)
        )
    return findings


def _said(check: str, passed: bool, message: str, evidence: dict[str, Any]) -> Finding:
    return Finding(check, [], "info" if passed else "error", message, evidence)


def _golden(bundle: Bundle, ask: Callable[[Rows], Rows]) -> Finding:
    replies = [ask([example["request"]])[0] for example in bundle.examples]
    wrong = sum(
        not same_reply(reply, example["reply"])
        for reply, example in zip(replies, bundle.examples, strict=True)
    )
    message = f"{len(replies) - wrong} of {len(replies)} golden requests get their reply"
    return _said("verify.examples", wrong == 0, message, {"wrong": wrong})


def _parity(predictor: predict.Predictor, stored: pl.DataFrame, tested: pl.DataFrame) -> Finding:
    then, now = predictor.scores(stored), predictor.scores(tested)
    worst = float(np.max(np.abs(now - then) / np.maximum(1.0, np.abs(then)))) if len(then) else 0.0
    passed = worst <= TOLERANCE and bool(
        (stored["prediction"] == tested["prediction"]).all() or not predictor.is_multiclass
    )
    message = f"{len(then)} holdout rows: largest difference to the stored predictions {worst:.2g} (allowed {TOLERANCE})"
    return _said("verify.parity", passed, message, {"largest": worst})


def _metrics(
    bundle: Bundle, predictor: predict.Predictor, holdout: pl.DataFrame, tested: pl.DataFrame
) -> Finding:
    meta = predictor.session.metadata
    target = features.Target(meta["target"], meta["task"], meta["classes"])
    y, threshold = features.encode_target(target, holdout[target.name]), bundle.evaluation.threshold
    weighed = bundle.system.data.weight
    weight = holdout[weighed].cast(pl.Float64).to_numpy() if weighed else None
    predictions = evaluate.Predictions(
        target.task, y, predictor.scores(tested), weight, threshold=threshold
    )
    now = evaluate.compute_metrics(predictions)
    then = bundle.evaluation.metrics["test"]
    wrong = {}
    for name, value in now.items():
        if name not in then:  # the version that built the bundle did not have it
            continue
        stored = then[name]
        is_undefined = stored is None and math.isnan(value)
        if not is_undefined and not same_reply(value, stored):
            wrong[name] = {"stored": stored, "now": value}
    name = bundle.evaluation.metric.name
    message = f"test {name} {now[name]:.6g}; " + (
        f"differs in {', '.join(wrong)}" if wrong else "every metric as stored"
    )
    return _said("verify.metrics", not wrong, message, {"metrics": now, "wrong": wrong})


def _online(bundle: Bundle, holdout: pl.DataFrame, sources: bool) -> list[Finding]:
    """The windows of holdout rows, replayed through the online store. Only where the bundle is in a
    workspace of this user's: a stranger's may not say what is read on this machine.
    """
    if not bundle.system.features.windows:
        return []
    workspace = Workspace.containing(bundle.path)
    if workspace is None:
        message = "not replayed outside of the workspace that the bundle was made in"
        return [Finding("verify.online", [], "info", message)]
    if not sources and not workspace.is_own:
        message = "not replayed, as you did not make this workspace; --sources reads the tables that it names"
        return [Finding("verify.online", [], "info", message)]
    return [check_replay(with_root(bundle.system, workspace.root), bundle.manifest.data, holdout)]


def _is_own(bundle: Bundle) -> bool:
    """Whether a bundle lies in a workspace of this user's."""
    workspace = Workspace.containing(bundle.path)
    return workspace is not None and workspace.is_own


def _probe(path: Path) -> None:
    """Reads a stranger's table in a process of its own, with so much memory and time: a reader of
    Parquet that meets what no writer writes may end its process, or ask for all memory that there
    is.
    """
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30));"
        "import polars; polars.read_parquet(sys.argv[1], glob=False)"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, timeout=_PROBE_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BundleError(
            str(path), f"is not read within {_PROBE_S} s", "a table of test rows"
        ) from None
    if done.returncode:
        raise BundleError(str(path), "cannot be read", "a table of test rows")


def _latency(
    bound_ms: float,
    holdout: pl.DataFrame,
    predictor: predict.Predictor,
    ask: Callable[[Rows], Rows],
) -> Finding:
    p99 = predict.p99_ms(ask, predict.as_requests(predictor, holdout.head(500)))
    message = f"p99 of single rows {p99:.3g} ms (required {bound_ms:g} ms)"
    return _said("verify.latency", p99 <= bound_ms, message, {"p99_ms": p99, "bound_ms": bound_ms})


def _by_dicts(
    predictor: predict.Predictor, holdout: pl.DataFrame, ask: Callable[[Rows], Rows]
) -> pl.DataFrame:
    rows = predict.as_requests(predictor, holdout)
    replies = [
        reply
        for start in range(0, len(rows), _REMOTE_BATCH)
        for reply in ask(rows[start : start + _REMOTE_BATCH])
    ]
    columns = {"prediction": [reply["prediction"] for reply in replies]}
    if replies and "decision" in replies[0]:
        columns["decision"] = [reply["decision"] for reply in replies]
    for label in predictor.classes if predictor.is_multiclass else []:
        columns[f"probability_{label}"] = [reply["probabilities"][label] for reply in replies]
    return pl.DataFrame(columns)


def _service(url: str) -> Callable[[Rows], Rows]:
    """Asks a live service; raises `InputError` where it does not answer as one."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    target = url.rstrip("/") + "/predict"
    if not target.startswith(("http://", "https://")):
        raise InputError("--url", repr(url), "an address such as http://127.0.0.1:8080")

    def ask(rows: Rows) -> Rows:
        request = Request(
            target, msgspec.json.encode({"rows": rows}), {"content-type": "application/json"}
        )
        try:
            with urlopen(request, timeout=30) as answer:
                predictions: Rows = msgspec.json.decode(answer.read())["predictions"]
        except HTTPError as error:
            with error:
                raise InputError(
                    target,
                    f"status {error.code}: {error.read()[:300].decode(errors='replace')}",
                    "predictions",
                ) from None
        except (URLError, OSError, KeyError, TypeError, *DECODE_ERRORS) as error:
            raise InputError(
                target, f"no prediction ({error})", "a running Headrace service"
            ) from None
        return predictions

    return ask
