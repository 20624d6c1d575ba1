"""The command `headrace` within this process: what it answers, without the start of an interpreter.

A process of its own stays where the process is what is tested: signals, kills, imports, services,
terminals.
"""

import ctypes
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

import pytest

from headrace.__main__ import main
from headrace.cli import signals


def run_command(
    *arguments: object,
    cwd: Path | None = None,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command as its console script does; answers what `subprocess.run` would.

    What is written to the streams is caught below Python, where libraries in C write. An exception
    that nobody catches is a traceback on stderr and status 1, as it is of an interpreter.
    """
    command = ["headrace", *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with (
            _signals_for_the_tests(),
            _streams(stdin, out, err),
            _surroundings(command, cwd, env),
        ):
            status = _status()
        if status == 128 + signal.SIGINT:
            raise KeyboardInterrupt  # whoever runs the tests wants them to end
        return subprocess.CompletedProcess(command, status, _read(out), _read(err))


def _status() -> int:
    """Runs the command that `sys.argv` holds; the status that an interpreter would end with."""
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _signals_for_the_tests() -> Iterator[None]:
    """The handlers of signals stay the tests' own, and no thread is started that waits for one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "end_in_time", put_back)
        try:
            yield
        finally:
            put_back()


@contextmanager
def _surroundings(
    command: list[str], cwd: Path | None, env: Mapping[str, str] | None
) -> Iterator[None]:
    """The arguments, the folder and the environment of a command, which may change them."""
    before = Path.cwd(), dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        patch.setattr(sys.modules["__main__"], "__package__", "")  # its usage says "headrace"
        try:
            _set_environment(before[1] if env is None else env)
            os.chdir(before[0] if cwd is None else cwd)
            yield
        finally:
            os.chdir(before[0])
            _set_environment(before[1])


def _set_environment(wanted: Mapping[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


@contextmanager
def _streams(stdin: str, out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """The standard streams: those of Python, of C, and of loggers."""
    kept = {number: os.dup(number) for number in (1, 2)}
    _flush()
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    try:
        with (
            os.fdopen(1, "w", encoding="utf-8", closefd=False) as stdout,
            os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1) as stderr,
            pytest.MonkeyPatch.context() as patch,
            _loggers(sys.stderr, stderr),
        ):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            yield
            _flush()
    finally:
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)


@contextmanager
def _loggers(usual: TextIO, stderr: TextIO) -> Iterator[None]:
    """What is logged goes where it does outside of tests: libraries made their loggers long ago."""
    root = logging.getLogger()
    theirs = root.handlers  # of pytest, which keeps for its own report what no other handler takes
    root.handlers = []
    _redirect_loggers(usual, stderr)
    try:
        yield
    finally:
        _redirect_loggers(stderr, usual)
        root.handlers = theirs


def _redirect_loggers(old: TextIO, new: TextIO) -> None:
    for logger in logging.root.manager.loggerDict.values():
        for handler in getattr(logger, "handlers", []):
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
