"""The models in service, side by side, by their names, versions and aliases.

`Repository.routes` leads from a reference, which follows `/predict/` in a path, to a model. A
service that was started with the systems `taxi` and `shop` has, for instance:

    ""                  taxi, version 7, arm champion       the first model
    taxi                taxi, version 7, arm champion       the first alias of a model
    taxi@champion       taxi, version 7, arm champion
    taxi@challenger     taxi, version 8, arm challenger
    taxi@7, taxi@8      the same versions, without an arm
    shop, shop@champion, shop@3                             and so on

An alias is followed. When it moves, its new version is opened, checked and warmed beside the old
one, and takes its place between two requests. The old one stays ready:

    time             ──────────────────────────────────────>
    aliases.json     champion: 7 │ champion: 8
    in a thread                  │ 8 is loaded │
    taxi@champion    7           │ 7           │ 8
    taxi@7           7           │ 7           │ 7

So the way back takes no time. A version that fails its check leaves the old one in service, and is
not tried again until the alias moves.
"""

import asyncio
import re
import threading
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from headrace.bundle import open_bundle
from headrace.clock import SYSTEM
from headrace.errors import BundleError, HeadraceError, InputError
from headrace.serve.http.messages import encode
from headrace.serve.log_event import log_event
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.arms import (
    ModelRoute,
    Segment,
    Split,
    SplitCounts,
    build_route,
    take_counts,
)
from headrace.serve.models.recorder import Recorder
from headrace.serve.models.rollouts import (
    FAILURES,
    Live,
    LiveRollouts,
    build_split,
    list_versions,
    mark_challengers,
)
from headrace.serve.models.segments import build_segments
from headrace.serve.models.served import ServedModel
from headrace.serve.models.sources import ModelSource, find_version, has_rollouts, read_versions
from headrace.serve.models.system import ServedSystem
from headrace.workspace import Alias

_VERSION = re.compile("[1-9][0-9]{0,8}")
LOAD_S = 120.0
"""Seconds in which a version must be opened, checked and warmed."""
MOVE_S = 0.1
"""Seconds that one look at the aliases may take."""
_MAX_PAST = 8
"""Splits that were replaced, of which requests may still be on their way."""
_MAX_SPARE = 8
"""Versions without an alias that stay ready."""


class Repository:
    """The models in service, and the `routes` to them.

    With a `recorder`, predictions of models in a workspace are logged. Raises `InputError` for two
    models of one name.
    """

    def __init__(
        self, sources: list[ModelSource], metrics: Metrics, recorder: Recorder | None
    ) -> None:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                found = f"two models are called {name!r}"
                raise InputError("serve", found, "models with different names")

        self._sources = sources
        self._metrics = metrics
        self._recorder = recorder
        self.routes: dict[str, ModelRoute] = {}

        # By name and version: models that are ready, and those that were started as a bundle.
        self._ready: dict[tuple[str, int], ServedModel] = {}
        self._pinned: set[tuple[str, int]] = set()

        # By name and alias: the version in service, the one that failed, the task that loads one,
        # and the aliases that cannot be found any more.
        self._current: dict[tuple[str, Alias], int] = {}
        self._refused: dict[tuple[str, Alias], int] = {}
        self._moves: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._gone: set[tuple[str, Alias]] = set()

        # The rollouts of systems whose aliases are all served, and their splits by name.
        self._rollouts = LiveRollouts()
        self.splits: dict[str, Split] = {}
        self._segments: dict[str, list[Segment]] = {}
        self._past_splits: list[tuple[str, Split]] = []

        # By reference: the versions that requests name, and wait for.
        self._loading: dict[str, asyncio.Future[ModelRoute]] = {}

    @property
    def sources(self) -> list[ModelSource]:
        """The models that the service was started with."""
        return self._sources

    @property
    def names(self) -> list[str]:
        """The names of the models; the first is meant where a request names none."""
        return [source.name for source in self._sources]

    def list_systems(self) -> dict[str, ServedSystem]:
        """Return the systems of the models that have one, by the names of the models."""
        return {source.name: source.system for source in self._sources if source.system is not None}

    def list_versions(self, name: str) -> list[int]:
        """Return the versions of a model that are ready."""
        return sorted(version for ready_name, version in self._ready if ready_name == name)

    def open(self) -> None:
        """Load every version that a bundle or an alias names now.

        Raises `HeadraceError` where that fails for the first version of a model; a further alias
        that fails is reported.
        """
        for source in self._sources:
            if source.bundle is not None:
                served = self._load_bundle(source, source.bundle)
                self._ready[served.name, served.version] = served
                self._pinned.add((served.name, served.version))
            for alias, version in read_versions(source).items():
                try:
                    if (source.name, version) not in self._ready:
                        self._ready[source.name, version] = self._load(source, version)
                except Exception as error:
                    if alias == source.aliases[0]:
                        raise
                    self._refuse(source, alias, version, error)
                    continue
                self._current[source.name, alias] = version
            self._open_rollout(source)
        for source in self._sources:
            champion = self._current.get((source.name, "champion"))
            if has_rollouts(source) and champion is not None:
                served = self._ready[source.name, champion]
                self._segments[source.name] = build_segments(served, self.names)
        self._publish()

    def _open_rollout(self, source: ModelSource) -> None:
        """Load the versions of the rollout that is live now; one that fails is reported."""
        if not has_rollouts(source):
            return
        assert source.system is not None
        live = self._rollouts.read(source.system)
        mark_challengers(source.system.workspace, live.rollout)
        for version in list_versions(live.rollout):
            if (source.name, version) not in self._ready:
                try:
                    self._ready[source.name, version] = self._load(source, version)
                except Exception as error:
                    self._rollouts.report_failed(source.name, version, error)
        self._rollouts.current[source.name] = live

    async def _follow_rollout(self, source: ModelSource) -> None:
        """Take the arms of the live rollout into service, once their versions are ready."""
        assert source.system is not None
        live = self._rollouts.read(source.system)
        known = self._rollouts.current.get(source.name)
        if live == known:
            return
        if known is None or known.rollout != live.rollout:
            mark_challengers(source.system.workspace, live.rollout)
        for version in list_versions(live.rollout):
            key = (source.name, version)
            if key not in self._ready and key not in self._rollouts.failed:
                try:
                    self._ready[key] = await self._load_in_thread(source, version)
                except Exception as error:
                    self._rollouts.report_failed(source.name, version, error)
        self._rollouts.current[source.name] = live
        self._publish()
        if known is None or known.rollout != live.rollout:
            phase = None if live.rollout is None else live.rollout.phase.number
            log_event("info", "rollout_followed", model=source.name, phase=phase)

    async def follow(self) -> None:
        """Read the aliases, and load what they point to; to be called again and again.

        It returns after `MOVE_S` seconds at the latest: a version that takes longer is loaded
        meanwhile, and holds up no other.
        """
        for source in self._sources:
            try:
                versions = read_versions(source)
            except HeadraceError as error:
                log_event("error", "aliases_unreadable", model=source.name, why=str(error))
                continue
            for alias in source.aliases:
                key = (source.name, alias)
                if key not in self._moves or self._moves[key].done():
                    move = self._move(source, alias, versions.get(alias))
                    self._moves[key] = asyncio.ensure_future(move)
            of_rollout = (source.name, "rollout")
            if has_rollouts(source) and (
                of_rollout not in self._moves or self._moves[of_rollout].done()
            ):
                self._moves[of_rollout] = asyncio.ensure_future(self._follow_rollout(source))
        if self._moves:
            await asyncio.wait(self._moves.values(), timeout=MOVE_S)

    async def find_route(self, ref: str) -> ModelRoute:
        """Return the route to a version that is not ready, after loading it.

        All requests for a version wait for one load. Raises `InputError` where there is no such
        version, and `BundleError` where it fails its check.
        """
        name, _, version = ref.partition("@")
        source = next((source for source in self._sources if source.name == name), None)
        has_versions = source is not None and source.bundle is None and source.system is not None
        if source is None or not has_versions or not _VERSION.fullmatch(version):
            found = "nothing is served under this name"
            known = ", ".join(filter(None, self.routes))
            raise InputError(f"the model {ref!r}", found, f"one of: {known}")

        if ref not in self._loading:
            self._loading[ref] = asyncio.ensure_future(self._add(source, int(version)))
        try:
            # A client that leaves does not stop the load for the others.
            return await asyncio.shield(self._loading[ref])
        finally:
            loading = self._loading.get(ref)
            if loading is not None and loading.done():
                del self._loading[ref]

    async def _add(self, source: ModelSource, version: int) -> ModelRoute:
        """Load a version that no alias points to, and return its route."""
        self._ready[source.name, version] = await self._load_in_thread(source, version)
        self._publish()
        return self.routes[f"{source.name}@{version}"]

    async def _move(self, source: ModelSource, alias: Alias, version: int | None) -> None:
        """Take the version to which an alias points now into service, unless it is there."""
        key = (source.name, alias)
        old = self._current.get(key)
        if version == old:
            self._refused.pop(key, None)
            self._gone.discard(key)
            return
        if version is None:
            if alias == source.aliases[0]:
                self._report_gone(source, alias, old)
            else:  # its rollout is over
                del self._current[key]
                self._publish()
            return
        if version == self._refused.get(key):
            return

        try:
            if (source.name, version) not in self._ready:
                self._ready[source.name, version] = await self._load_in_thread(source, version)
        except Exception as error:
            # A bundle may fail in any way, and none may end the service.
            self._refuse(source, alias, version, error)
            return
        self._refused.pop(key, None)
        self._current[key] = version
        self._publish()
        self._metrics.counts["headrace_swaps", source.name, "taken"] += 1
        log_event("info", "swapped", model=source.name, alias=alias, old=old, new=version)

    def _report_gone(self, source: ModelSource, alias: Alias, version: int | None) -> None:
        """Report once that an alias is gone, whose version stays in service.

        No command removes the first one: its file, or the workspace, is gone.
        """
        if (source.name, alias) not in self._gone:
            log_event("error", "alias_gone", model=source.name, alias=alias, live=version)
            self._gone.add((source.name, alias))

    def _refuse(self, source: ModelSource, alias: Alias, version: int, error: Exception) -> None:
        """Remember and report a version that cannot be served."""
        self._refused[source.name, alias] = version
        self._metrics.counts["headrace_swaps", source.name, "refused"] += 1
        log_event(
            "error",
            "swap_refused",
            model=source.name,
            alias=alias,
            version=version,
            live=self._current.get((source.name, alias)),
            why=str(error),
        )

    def _publish(self) -> None:
        """Replace all routes, and the gauges of the served versions, at once."""
        self._drop_spare()
        routes: dict[str, ModelRoute] = {}
        gauges = {
            key: value
            for key, value in self._metrics.gauges.items()
            if key[0] != "headrace_served_version"
        }
        for (name, version), served in self._ready.items():
            routes[f"{name}@{version}"] = self._build_route(served, "")

        for source in self._sources:
            first = None
            if source.bundle is not None:
                first = next(
                    (route for route in routes.values() if route.served.name == source.name), None
                )
            for alias in source.aliases:
                current = self._current.get((source.name, alias))
                if current is None:
                    continue
                route = self._build_route(self._ready[source.name, current], alias)
                routes[f"{source.name}@{alias}"] = route
                gauges["headrace_served_version", source.name, alias, str(current)] = 1
                first = first or route
            if first is not None:
                routes[source.name] = self._split(source, first)

        if self._sources[0].name in routes:
            routes[""] = routes[self._sources[0].name]
        self._metrics.gauges = gauges
        self.routes = routes

    def _drop_spare(self) -> None:
        """Let go of the oldest versions that no alias points to, beyond `_MAX_SPARE`."""
        current = {(name, version) for (name, _), version in self._current.items()}
        for name, live in self._rollouts.current.items():
            current |= {(name, version) for version in list_versions(live.rollout)}
        spare = [key for key in self._ready if key not in current and key not in self._pinned]
        for key in spare[: max(len(spare) - _MAX_SPARE, 0)]:
            del self._ready[key]

    def _build_route(self, served: ServedModel, arm: str) -> ModelRoute:
        """Build the route to a version by an alias, or by its number where `arm` is empty."""
        return build_route(served, arm, {"arm": arm}, self._recorder)

    def _split(self, source: ModelSource, route: ModelRoute) -> ModelRoute:
        """Return the route to a model, split by its live rollout, if there is one."""
        if not has_rollouts(source):
            return route
        live = self._rollouts.current.get(source.name, Live())
        known = self.splits.get(source.name)
        versions = {route.served.version, *list_versions(live.rollout)}
        ready = [
            self._ready[key] for key in self._ready if key[1] in versions and key[0] == source.name
        ]
        names = frozenset(column.name for served in ready for column in served.inputs)
        for served in ready:
            served.carry(names)
        try:
            split = build_split(
                route,
                live,
                lambda version: self._ready.get((source.name, version)),
                self._recorder,
            )
        except Exception as error:
            # Arms stay as they are: no file of a rollout may end the service.
            name = type(error).__name__
            log_event("error", "rollout_refused", model=source.name, error=name, why=str(error))
            split = known
        route = structs.replace(route, segments=self._segments.get(source.name, ()))
        if split is None:
            self.splits.pop(source.name, None)
            return route
        if known is not None:
            self._past_splits.append((source.name, known))
        self.splits[source.name] = split
        return structs.replace(route, split=split)

    def needs_controller(self, source: ModelSource) -> bool:
        """Say whether a rollout is live, or a challenger waits for one."""
        if not has_rollouts(source):
            return False
        is_live = self._rollouts.current.get(source.name, Live()).rollout is not None
        return is_live or (source.name, "challenger") in self._current

    def record_counts(self) -> None:
        """Append to the logs of the systems what was counted of the arms of their rollouts.

        A split that was replaced is recorded for a while: requests may still be on their way.
        """
        if self._recorder is None:
            return
        systems = self.list_systems()
        now_us = SYSTEM.now_us()
        live = list(self.splits.items())
        for name, split in [*live, *self._past_splits]:
            counts = take_counts(split, now_us)
            if counts is not None:
                self._recorder.append_counts(systems[name], encode(counts), now_us)
                self._count_failures(name, counts)
        self._past_splits = self._past_splits[-_MAX_PAST:]

    def _count_failures(self, name: str, counts: SplitCounts) -> None:
        """Count the failures of arms, and the rows without a unit, in the metrics."""
        for arm, of_arm in counts.arms.items():
            for kind in FAILURES:
                failed = getattr(of_arm, kind)
                if failed:
                    self._metrics.counts["headrace_arm_failures", name, arm, kind] += failed
        if counts.unassigned:
            self._metrics.counts["headrace_unassigned", name] += counts.unassigned

    async def _load_in_thread(self, source: ModelSource, version: int) -> ServedModel:
        """Load a version in a thread of its own, within `LOAD_S` seconds.

        A load that never ends keeps its thread, and nothing else: a pool would run out of threads,
        and the daemon thread does not hold up the end of the process.
        """
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[ServedModel] = loop.create_future()

        def set_result(served: ServedModel | None, error: Exception | None) -> None:
            if loaded.done():
                return
            if served is not None:
                loaded.set_result(served)
            else:
                loaded.set_exception(error or RuntimeError("nothing was loaded"))

        def load() -> None:
            served = None
            failure = None
            try:
                served = self._load(source, version)
            except Exception as error:
                failure = error
            # The loop is closed if the service has ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(set_result, served, failure)

        threading.Thread(target=load, daemon=True, name=f"load-{source.name}-{version}").start()
        try:
            return await asyncio.wait_for(loaded, LOAD_S)
        except TimeoutError:
            ref = f"{source.name}@{version}"
            found = f"is not ready after {LOAD_S:g} s"
            raise BundleError(ref, found, "a model that answers its golden requests") from None

    def _load(self, source: ModelSource, version: int) -> ServedModel:
        """Load a version of a system; raises `HeadraceError` where it cannot be served."""
        return self._load_bundle(source, find_version(source, version))

    def _load_bundle(self, source: ModelSource, path: Path) -> ServedModel:
        """Open a bundle, check every byte of it, and warm its model."""
        served = ServedModel(open_bundle(path), source.system, self._metrics)
        served.warm()
        return served
