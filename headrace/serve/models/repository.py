"""The models in service, side by side, by their names, versions and aliases.

An alias is followed: when it moves, the version that it moves to is opened, checked and warmed
beside the old one, and takes its place between two requests. The old one stays ready, so that going
back takes no time. A version that fails its check leaves the old one in service.
"""

import asyncio
import re
import threading
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from headrace import spec
from headrace.bundle import find_bundle, open_bundle, read_manifest
from headrace.errors import BundleError, HeadraceError, InputError
from headrace.serve.http.messages import Headers, encode
from headrace.serve.log_event import log_event
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.recorder import Buffer, Recorder
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem, find_system
from headrace.workspace import ALIASES, Alias

_VERSION = re.compile("[1-9][0-9]{0,8}")
LOAD_S, MOVE_S = 120.0, 0.1
"""How long a version may take to be opened, checked and warmed; and how long one look at the aliases may."""
_MOST_READY = 8
"""Versions beyond those that aliases stand for, which stay ready."""


class ModelSource(Struct, frozen=True):
    """What is served: a bundle, or the aliases of a system, of which the first is meant where none is named."""

    name: str
    bundle: Path | None
    aliases: tuple[Alias, ...]
    system: ServedSystem | None


class ModelRoute(Struct, frozen=True, eq=False):
    """A way to a model: the version that answers, the headers and the `opening` (a JSON object
    without its last brace) of a reply that say so, and where its predictions wait for the log, if
    they are logged.
    """

    served: ServedModel
    arm: str
    headers: Headers
    opening: bytes
    buffer: Buffer | None


def resolve_model(model: str, folder: Path) -> ModelSource:
    """What MODEL or a system's folder means; raises `InputError` that says what to do where nothing can be served."""
    if (Path(model) / "system.yaml").is_file() and not (Path(model) / "manifest.json").is_file():
        stated = spec.load(model)
        held = stated.workspace.read_aliases(stated.name)
        if "champion" not in held:
            found = f"no champion of {stated.name!r} yet"
            do = f"`headrace run {model}` makes one; `headrace promote {stated.name}@VERSION` picks one by hand"
            raise InputError(model, found, "a system with a champion", do)
        return ModelSource(stated.name, None, ALIASES, ServedSystem(stated))
    path = find_bundle(model, folder)
    system = find_system(path)
    named = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*)@([a-z]+)", model)
    if named and not Path(model).is_dir() and system is not None:
        alias: Alias = next(alias for alias in ALIASES if alias == named[2])
        return ModelSource(named[1], None, (alias,), system)
    return ModelSource(read_manifest(path).name, path, (), system)


def check(source: ModelSource) -> None:
    """Raises `BundleError` where a byte of what is meant first has been changed."""
    if source.bundle is not None:
        open_bundle(source.bundle)
    for alias, version in _wanted(source).items():
        if alias == source.aliases[0]:
            open_bundle(_path(source, version))


def _wanted(source: ModelSource) -> dict[Alias, int]:
    """Where the aliases of a source stand now."""
    if source.system is None or not source.aliases:
        return {}
    held = source.system.workspace.read_aliases(source.name)
    return {alias: held[alias] for alias in source.aliases if alias in held}


def _path(source: ModelSource, version: int) -> Path:
    """The bundle of a version; raises `InputError` where there is none."""
    assert source.system is not None
    path = source.system.workspace.bundle(source.name, version)
    if not path.is_dir():
        raise InputError(
            f"{source.name}@{version}", "no such version", "one that was made", str(path)
        )
    return path


class Repository:
    """Holds what is served. `routes` leads from what stands behind `/predict/` (or nothing) to a
    model. With a `recorder`, predictions are logged where a model has a workspace.
    """

    def __init__(
        self, sources: list[ModelSource], metrics: Metrics, recorder: Recorder | None
    ) -> None:
        self._sources, self._metrics, self._recorder = sources, metrics, recorder
        names = [source.name for source in sources]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(
                "serve", f"two models are called {twice!r}", "models of different names"
            )
        self._ready: dict[tuple[str, int], ServedModel] = {}
        self._pinned: set[tuple[str, int]] = set()
        self._held: dict[tuple[str, Alias], int] = {}
        self._refused: dict[tuple[str, Alias], int] = {}
        self._moving: dict[tuple[str, Alias], asyncio.Future[None]] = {}
        self._lost: set[tuple[str, Alias]] = set()
        self._loading: dict[str, asyncio.Future[ModelRoute]] = {}
        self.routes: dict[str, ModelRoute] = {}

    @property
    def names(self) -> list[str]:
        """The names of what is served; the first is meant where none is named."""
        return [source.name for source in self._sources]

    def systems(self) -> dict[str, ServedSystem]:
        """The workspaces, by the names of the models."""
        return {source.name: source.system for source in self._sources if source.system is not None}

    def versions(self, name: str) -> list[int]:
        """The versions of a model that are ready."""
        return sorted(version for known, version in self._ready if known == name)

    def open(self) -> None:
        """Makes everything ready that an alias or a folder names now; raises `HeadraceError` where that fails."""
        for source in self._sources:
            if source.bundle is not None:
                served = self._loaded(source, source.bundle)
                self._ready[served.name, served.version] = served
                self._pinned.add((served.name, served.version))
            for alias, version in _wanted(source).items():
                try:
                    if (source.name, version) not in self._ready:
                        self._ready[source.name, version] = self._load(source, version)
                except Exception as error:
                    if alias == source.aliases[0]:
                        raise
                    self._refuse(source, alias, version, None, error)
                    continue
                self._held[source.name, alias] = version
        self._publish()

    async def follow(self) -> None:
        """Looks where the aliases stand, and takes what has moved."""
        for source in self._sources:
            try:
                wanted = _wanted(source)
            except HeadraceError as error:
                log_event("error", "aliases_unreadable", model=source.name, why=str(error))
                continue
            for alias in source.aliases:
                key = (source.name, alias)
                if (
                    key not in self._moving or self._moving[key].done()
                ):  # one that takes long holds up no other
                    self._moving[key] = asyncio.ensure_future(
                        self._move(source, alias, wanted.get(alias))
                    )
        if self._moving:
            await asyncio.wait(self._moving.values(), timeout=MOVE_S)

    async def route(self, ref: str) -> ModelRoute:
        """The way to a model that is not at hand: a version that is opened now. Raises `InputError`
        where there is none.
        """
        name, _, version = ref.partition("@")
        source = next((source for source in self._sources if source.name == name), None)
        if (
            source is None
            or source.bundle is not None
            or source.system is None
            or not _VERSION.fullmatch(version)
        ):
            raise InputError(
                f"/predict/{ref}",
                "nothing is served under this name",
                "one of: " + ", ".join(self.routes),
            )
        if ref not in self._loading:
            self._loading[ref] = asyncio.ensure_future(self._take(source, int(version)))
        try:
            return await asyncio.shield(self._loading[ref])
        finally:
            if (done := self._loading.get(ref)) is not None and done.done():
                del self._loading[ref]

    async def _take(self, source: ModelSource, version: int) -> ModelRoute:
        self._ready[source.name, version] = await self._in_time(source, version)
        self._publish()
        return self.routes[f"{source.name}@{version}"]

    async def _move(self, source: ModelSource, alias: Alias, version: int | None) -> None:
        key = (source.name, alias)
        if version == self._held.get(key):
            self._refused.pop(key, None)
            self._lost.discard(key)
            return
        if version is not None and version == self._refused.get(key):
            return
        if version is None:  # no command takes an alias away: its file, or the workspace, is gone
            if key not in self._lost:
                log_event(
                    "error", "alias_gone", model=source.name, alias=alias, kept=self._held.get(key)
                )
                self._lost.add(key)
            return
        old = self._held.get(key)
        try:
            if (source.name, version) not in self._ready:
                self._ready[source.name, version] = await self._in_time(source, version)
        except Exception as error:  # a bundle may fail in any way
            self._refuse(source, alias, version, old, error)
            return
        self._refused.pop(key, None)
        self._held[key] = version
        self._publish()
        self._metrics.counts["headrace_swaps", source.name, "taken"] += 1
        log_event("info", "swapped", model=source.name, alias=alias, old=old, new=version)

    def _refuse(
        self, source: ModelSource, alias: Alias, version: int, kept: int | None, error: Exception
    ) -> None:
        self._refused[source.name, alias] = version
        self._metrics.counts["headrace_swaps", source.name, "refused"] += 1
        log_event(
            "error",
            "swap_refused",
            model=source.name,
            alias=alias,
            version=version,
            kept=kept,
            why=str(error),
        )

    def _publish(self) -> None:
        """Makes the routes anew, all at once, and lets go of the first of what no alias stands for."""
        held = self._pinned | {(name, version) for (name, _), version in self._held.items()}
        spare = [key for key in self._ready if key not in held]
        for key in spare[: max(len(spare) - _MOST_READY, 0)]:
            del self._ready[key]
        routes: dict[str, ModelRoute] = {}
        gauges = {
            key: one
            for key, one in self._metrics.gauges.items()
            if key[0] != "headrace_served_version"
        }
        for (name, version), served in self._ready.items():
            routes[f"{name}@{version}"] = self._route(served, "")
        for source in self._sources:
            mine = []
            if source.bundle is not None:
                mine = [route for ref, route in routes.items() if route.served.name == source.name]
            for alias in source.aliases:
                version_ = self._held.get((source.name, alias))
                if version_ is not None:
                    served = self._ready[source.name, version_]
                    routes[f"{source.name}@{alias}"] = route = self._route(served, alias)
                    gauges["headrace_served_version", source.name, alias, str(version_)] = 1
                    mine.append(route)
            if mine:
                routes[source.name] = mine[0]
        if self._sources[0].name in routes:
            routes[""] = routes[self._sources[0].name]
        self._metrics.gauges, self.routes = gauges, routes

    def _route(self, served: ServedModel, arm: str) -> ModelRoute:
        """The way to a version by an arm, or by its number."""
        told = {"model": served.name, "version": served.version}
        buffer = None
        if self._recorder is not None and served.system is not None:
            buffer = Buffer(self._recorder, served.system, encode(told | {"arm": arm})[:-1])
        return ModelRoute(served, arm, served.headers(arm), encode(told)[:-1], buffer)

    async def _in_time(self, source: ModelSource, version: int) -> ServedModel:
        """Opens a version beside the loop.

        One that comes to no end keeps a thread, and nothing else.
        """
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[ServedModel] = loop.create_future()

        def give(served: ServedModel | None, error: Exception | None) -> None:
            if loaded.done():
                return
            if served is not None:
                loaded.set_result(served)
            else:
                loaded.set_exception(error or RuntimeError("nothing was loaded"))

        def load() -> None:
            found, failed = None, None
            try:
                found = self._load(source, version)
            except Exception as error:  # a bundle may fail in any way
                failed = error
            with suppress(RuntimeError):  # the service has ended meanwhile
                loop.call_soon_threadsafe(give, found, failed)

        threading.Thread(target=load, daemon=True, name=f"load-{source.name}-{version}").start()
        try:
            return await asyncio.wait_for(loaded, LOAD_S)
        except TimeoutError:
            found = f"is not ready after {LOAD_S:g} s"
            raise BundleError(
                f"{source.name}@{version}", found, "a model that answers its golden requests"
            ) from None

    def _load(self, source: ModelSource, version: int) -> ServedModel:
        return self._loaded(source, _path(source, version))

    def _loaded(self, source: ModelSource, path: Path) -> ServedModel:
        """Opened, every byte of it checked, and warmed."""
        served = ServedModel(open_bundle(path), source.system, self._metrics)
        served.warm()
        return served
