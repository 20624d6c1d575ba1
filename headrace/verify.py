"""Re-assess a bundle anywhere: is it whole, does it predict the same, as well and as fast?"""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace import evaluate, features, predict
from headrace.bundle import TOLERANCE, Bundle, Manifest, find_bundle, open_bundle, same_reply
from headrace.errors import BundleError, Finding, HeadraceError, InputError
from headrace.spec import with_root
from headrace.store import check_replay
from headrace.workspace import Workspace

_REMOTE_BATCH = 500
_PROBE_S = 60
Rows = list[dict[str, Any]]


class Verification(Struct, frozen=True):
    """The outcome of `verify`: a finding for each check, of severity `error` where it failed."""

    bundle: str
    passed: bool
    findings: list[Finding]


def verify(
    model: str | Path,
    folder: str | Path = ".",
    url: str | None = None,
    sources: bool = False,
    token: str | None = None,
) -> Verification:
    """Check a bundle: checksums, golden replies, parity, metrics, windows online, latency.

    Parity compares with the stored predictions. Latency is checked where the spec states one.

    Parameters: `url`, a live service that must give the bundle's answers; `sources`, whether to
    read the tables, queries and addresses that a stranger's bundle names (those of a bundle in a
    workspace of this user are read anyway); `token`, of the service. Raises `InputError` where
    there is no such bundle; faults of a bundle become findings.
    """
    path = find_bundle(model, Path(folder))
    findings: list[Finding] = []
    try:
        bundle = open_bundle(path)
        bundle.check()
        message = f"{len(bundle.manifest.files)} files are as they were written"
        findings.append(_finding("verify.sums", True, message, {}))
        service = None if url is None else _Service(url, bundle.manifest.name, token)
        findings += _check_answers(bundle, service, sources)
        if service is not None:
            findings.append(service.check_version(bundle.manifest))
    except BundleError as error:
        findings.append(Finding("verify.sums", [], "error", str(error)))
    passed = all(finding.severity != "error" for finding in findings)
    return Verification(str(path), passed, findings)


def _check_answers(bundle: Bundle, service: "_Service | None", sources: bool) -> list[Finding]:
    """Check the answers of a bundle whose files are whole.

    Raises `BundleError` where its parts do not go together.
    """
    predictor = predict.make_predictor(bundle)
    if not _is_own(bundle):
        _probe(bundle.path / "holdout.parquet")
    ask = predictor.predict_dicts if service is None else service.ask
    holdout, answers = bundle.holdout()
    try:
        findings = [_check_golden(bundle, ask)]
        unit = bundle.manifest.unit
        if service is None:
            tested = predictor.predict_frame(holdout)
        else:
            tested = _predict_by_dicts(predictor, holdout, ask)
        findings.append(_check_parity(predictor, answers, tested, unit))
        findings.append(_check_metrics(bundle, predictor, holdout, tested))
    except (BundleError, MemoryError):
        raise
    except Exception as error:
        # The checksums were right, but a stranger may have written any content under them.
        if isinstance(error, HeadraceError) and service is not None:
            raise
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        found = f"its parts do not fit together ({cause})"
        raise BundleError(str(bundle.path), found, "a Headrace bundle") from None

    findings += _check_online(bundle, holdout, sources)
    bound_ms = bundle.system.requirements.latency_p99_ms
    if bound_ms is not None:
        findings.append(_check_latency(bound_ms, holdout, predictor, ask))
    return findings


def _finding(check: str, passed: bool, message: str, evidence: dict[str, Any]) -> Finding:
    return Finding(check, [], "info" if passed else "error", message, evidence)


def _check_golden(bundle: Bundle, ask: Callable[[Rows], Rows]) -> Finding:
    replies = [ask([example["request"]])[0] for example in bundle.examples]
    pairs = zip(replies, bundle.examples, strict=True)
    unit = bundle.manifest.unit
    wrong = sum(not same_reply(reply, example["reply"], unit) for reply, example in pairs)
    message = f"{len(replies) - wrong} of {len(replies)} golden requests get the stored reply"
    return _finding("verify.examples", wrong == 0, message, {"wrong": wrong})


def _check_parity(
    predictor: predict.Predictor, stored: pl.DataFrame, tested: pl.DataFrame, unit: float
) -> Finding:
    then = predictor.scores(stored)
    now = predictor.scores(tested)
    differences = np.abs(now - then) / np.maximum(max(1.0, unit), np.abs(then))
    worst = float(differences.max(initial=0.0))
    passed = worst <= TOLERANCE
    if predictor.is_multiclass:
        first, second = np.sort(then, axis=1)[:, :-3:-1].T
        changed = (stored["prediction"] != tested["prediction"]).to_numpy()
        # Either of two labels is right whose probabilities are that close.
        passed = passed and not bool((changed & (first - second > TOLERANCE)).any())
    message = (
        f"{len(then)} holdout rows: largest difference from the stored predictions {worst:.2g} "
        f"(allowed {TOLERANCE})"
    )
    return _finding("verify.parity", passed, message, {"largest": worst})


def _check_metrics(
    bundle: Bundle, predictor: predict.Predictor, holdout: pl.DataFrame, tested: pl.DataFrame
) -> Finding:
    meta = predictor.session.metadata
    system = bundle.system
    target = features.Target(
        meta["target"], meta["task"], meta["classes"], features.make_grading(system.goal)
    )
    predictions = evaluate.Predictions.of_truth(
        target.task,
        features.read_truth(target, system.data, holdout),
        predictor.scores(tested),
        bundle.evaluation.threshold,
    )
    then = bundle.evaluation.metrics["test"]
    now = evaluate.compute_metrics(predictions, then)
    wrong = {}
    for name, value in now.items():
        if name not in then:  # the version that built the bundle did not have it
            continue
        stored = then[name]
        is_undefined = stored is None and math.isnan(value)
        if not is_undefined and not same_reply(value, stored):
            wrong[name] = {"stored": stored, "now": value}
    name = bundle.evaluation.metric.name
    outcome = f"differs in {', '.join(wrong)}" if wrong else "every metric as stored"
    message = f"test {name} {now[name]:.6g}; {outcome}"
    return _finding("verify.metrics", not wrong, message, {"metrics": now, "wrong": wrong})


def _check_online(bundle: Bundle, holdout: pl.DataFrame, sources: bool) -> list[Finding]:
    """Replay the windows of holdout rows through the online store.

    It reads the tables of a workspace that this user made: a stranger's bundle may not say what is
    read on this machine.
    """
    if not bundle.system.features.windows:
        return []
    workspace = Workspace.containing(bundle.path)
    if workspace is None:
        message = "not replayed outside the workspace in which the bundle was made"
        return [Finding("verify.online", [], "info", message)]
    if not sources and not workspace.is_own:
        message = (
            "not replayed, as you did not make this workspace; "
            "--sources reads the tables that it names"
        )
        return [Finding("verify.online", [], "info", message)]
    return [check_replay(with_root(bundle.system, workspace.root), bundle.manifest.data, holdout)]


def _is_own(bundle: Bundle) -> bool:
    """Say whether a bundle lies in a workspace of this user."""
    workspace = Workspace.containing(bundle.path)
    return workspace is not None and workspace.is_own


def _probe(path: Path) -> None:
    """Read a stranger's table once in a process of its own, with a bound on memory and time.

    A reader of Parquet that meets bytes which no writer writes may crash, or ask for all memory.
    """
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30));"
        "import polars; polars.read_parquet(sys.argv[1], glob=False)"
    )
    try:
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        found = f"is not read within {_PROBE_S} s"
        raise BundleError(str(path), found, "a table of test rows") from None
    if done.returncode:
        raise BundleError(str(path), "cannot be read", "a table of test rows")


def _check_latency(
    bound_ms: float,
    holdout: pl.DataFrame,
    predictor: predict.Predictor,
    ask: Callable[[Rows], Rows],
) -> Finding:
    p99 = predict.measure_p99_ms(ask, predict.to_requests(predictor, holdout.head(500)))
    message = f"p99 of single rows {p99:.3g} ms (required {bound_ms:g} ms)"
    return _finding(
        "verify.latency", p99 <= bound_ms, message, {"p99_ms": p99, "bound_ms": bound_ms}
    )


def _predict_by_dicts(
    predictor: predict.Predictor, holdout: pl.DataFrame, ask: Callable[[Rows], Rows]
) -> pl.DataFrame:
    """Ask a service for all rows, a batch at a time; return a table as the predictor makes one."""
    rows = predict.to_requests(predictor, holdout)
    replies: Rows = []
    for start in range(0, len(rows), _REMOTE_BATCH):
        replies += ask(rows[start : start + _REMOTE_BATCH])

    columns = {"prediction": [reply["prediction"] for reply in replies]}
    if replies and "decision" in replies[0]:
        columns["decision"] = [reply["decision"] for reply in replies]
    for label in predictor.classes if predictor.is_multiclass else []:
        columns[f"probability_{label}"] = [reply["probabilities"][label] for reply in replies]
    return pl.DataFrame(columns)


class _Service:
    """A live service that predicts; `answered` has the versions that its replies named.

    Parameters: `url`, its address; `name`, the model to ask for; `token`, if it demands one. Raises
    `InputError` for what is no address.
    """

    def __init__(self, url: str, name: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._target = f"{self.url}/predict/{name}"
        self._headers = {"content-type": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self.answered: set[str] = set()
        try:
            is_address = urlsplit(self.url).scheme in ("http", "https")
        except ValueError:
            is_address = False
        if not is_address:
            raise InputError("--url", repr(url), "an address such as http://127.0.0.1:8080")
        if token and not (token.isascii() and token.isprintable()):
            raise InputError("--token", "signs that no token has", "what `headrace token` printed")

    def ask(self, rows: Rows) -> Rows:
        """Predict rows; raises `InputError` where no service of Headrace answers."""
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        body = msgspec.json.encode({"rows": rows})
        try:
            with urlopen(Request(self._target, body, self._headers), timeout=30) as answer:
                reply = msgspec.json.decode(answer.read())
            self.answered.add(f"{reply['model']}@{reply['version']}")
            predictions: Rows = reply["predictions"]
        except HTTPError as error:
            with error:
                reason = error.read()[:300].decode(errors="replace")
            found = f"status {error.code}: {reason}"
            do = "give its token by --token or HEADRACE_TOKEN" if error.code in (401, 403) else ""
            raise InputError(self._target, found, "predictions", do) from None
        except (URLError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            found = f"no prediction ({error})"
            raise InputError(self._target, found, "a running Headrace service") from None
        return predictions

    def check_version(self, manifest: Manifest) -> Finding:
        """Say which version answered: it must be that of the bundle."""
        expected = f"{manifest.name}@{manifest.version}"
        answered = ", ".join(sorted(self.answered))
        message = f"{answered} answered at {self.url}"
        if self.answered != {expected}:
            message += f", not {expected}"
        return _finding(
            "verify.version", self.answered == {expected}, message, {"answered": answered}
        )
