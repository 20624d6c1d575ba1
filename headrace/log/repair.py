"""The repair of a damaged log: what is whole goes on, what is not is set aside and never removed.

Positions stay what they were. Where records are gone the log has a gap, and a note of it:

    before   10.open           [frame 10, 11][frame 12, 13][????????????][frame 16, 17]
    after    10.open           [frame 10, 11][frame 12, 13]
             16.open                                                     [frame 16, 17]
             10.open.damaged   all of the file as it was
             gaps.json         [[14, 16]]
"""

from itertools import pairwise
from pathlib import Path

import msgspec

from headrace.errors import DECODE_ERRORS, WorkError
from headrace.log import segment
from headrace.log.frames import find_frames
from headrace.log.segment import OPEN, SEALED
from headrace.tables import atomic_file

_GAPS = "gaps.json"
_ASIDE = ".damaged"
_LEAST_BYTES = 16
"""A record takes at least so many bytes."""


class _Run(msgspec.Struct):
    """Whole frames that follow one another; the first record has the position `first`."""

    first: int
    frames: list[bytes]


def read_gaps(folder: Path) -> list[list[int]]:
    """Read the noted gaps: the position of the first record that is gone, and of the next one."""
    try:
        return msgspec.json.decode((folder / _GAPS).read_bytes(), type=list[list[int]])
    except FileNotFoundError:
        return []
    except DECODE_ERRORS:
        raise WorkError(
            str(folder / _GAPS), "cannot be read", "the log as it was written"
        ) from None


def is_gap_known(folder: Path, end: int, first: int) -> bool:
    """Say whether notes cover all records from the position `end` up to `first`, left out."""
    for start, until in sorted(read_gaps(folder)):
        if start <= end < until:
            end = until
    return end >= first


def add_gaps(folder: Path, gaps: list[list[int]]) -> None:
    """Note that records are gone."""
    with atomic_file(folder / _GAPS) as draft:
        draft.write_bytes(msgspec.json.encode([*read_gaps(folder), *gaps]))


def repair_files(folder: Path, files: list[Path]) -> list[str]:
    """Repair the files of a log, in their order; return a sentence on each step.

    Nobody may write to the log meanwhile.
    """
    messages: list[str] = []
    for number, path in enumerate(files):
        next_first = int(files[number + 1].stem) if number + 1 < len(files) else None
        try:
            segment.read(path)
        except WorkError:
            aside = _find_free_name(path.with_name(path.name + _ASIDE))
            if path.suffix == SEALED:
                messages.append(_set_aside(path, aside))
            else:
                messages.append(_copy_frames(path, aside, next_first))
    return messages + _note_gaps(folder)


def _find_free_name(path: Path) -> Path:
    """Find a name that no file has: files that were set aside before stay."""
    count = 1
    free = path
    while free.exists():
        count += 1
        free = path.with_name(f"{path.name}-{count}")
    return free


def _set_aside(path: Path, aside: Path) -> str:
    """Set a damaged segment aside."""
    path.rename(aside)
    segment.sums_path(path).unlink(missing_ok=True)
    return f"{path.name} was changed after it was sealed, and is set aside as {aside.name}"


def _copy_frames(path: Path, aside: Path, next_first: int | None) -> str:
    """Copy the whole frames of a damaged open file, each run of them into a file of its own.

    Parameters: `next_first`, the position at which the next file begins; None for the last file.
    """
    data = path.read_bytes()
    first = int(path.stem)
    frames = list(find_frames(data, 0))
    lost = None
    if next_first is not None:
        counted = sum(count for _, _, count, _ in frames)
        lost = max(next_first - first - counted, 0)
    runs = _find_runs(data, frames, first, lost)
    if next_first is not None and not runs[-1].frames:
        runs.pop()  # the next file goes on from there
    # The last file must be there, also without a frame: positions go on from its name.
    runs = [run for run in runs[:-1] if run.frames] + runs[-1:]

    # The damaged file goes last: if the process dies before, the log is still refused.
    aside.hardlink_to(path)
    for run in reversed(runs):
        with atomic_file(path.with_name(f"{run.first:020d}{OPEN}")) as draft:
            draft.write_bytes(b"".join(run.frames))
    if first not in {run.first for run in runs}:
        path.unlink()

    copied = sum(count for _, _, count, is_whole in frames if is_whole)
    return f"{copied} records of {path.name} were copied; the file is set aside as {aside.name}"


def _find_runs(
    data: bytes, frames: list[tuple[int, int, int, bool]], first: int, lost: int | None
) -> list[_Run]:
    """Find the runs of whole frames in a damaged file, with their positions.

    Parameters: `frames`, as `find_frames` finds them in `data`; `first`, the position of the file's
    first record; `lost`, how many records the heads of the frames do not count. That is not known
    of the last file: then as many are taken to be lost as the damaged bytes could hold, so that no
    position is given twice.
    """
    runs = [_Run(first, [])]
    position = first
    end = 0
    for begin, until, count, is_whole in [*frames, (len(data), len(data), 0, False)]:
        if begin > end:  # bytes that are no frame
            if lost is None:
                position += (begin - end) // _LEAST_BYTES + 1
            else:
                # Which of several such places lost how many is not known: so the first lost all.
                position += lost
                lost = 0
            runs.append(_Run(position, []))

        if is_whole:
            runs[-1].frames.append(data[begin:until])
        position += count
        end = until
        if count and not is_whole:
            runs.append(_Run(position, []))
    return runs


def _note_gaps(folder: Path) -> list[str]:
    """Note the gaps that the log has now; return a sentence on each."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (OPEN, SEALED))
    # Of two files of one name the segment is the later one.
    named = {int(path.stem): path for path in paths}
    gaps = []
    for (first, path), (next_first, _) in pairwise(sorted(named.items())):
        end = first + segment.read(path).height
        if end < next_first and not is_gap_known(folder, end, next_first):
            gaps.append([end, next_first])
    if gaps:
        add_gaps(folder, gaps)
    return [f"records {end} to {next_first - 1} are gone" for end, next_first in gaps]
