"""Making a damaged log usable again: what is whole goes on, what is not is set aside and never
removed.

Positions stay what they were: where records are gone, the log has a gap, which is noted.
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
"""No record takes fewer."""


def read_gaps(folder: Path) -> list[list[int]]:
    """From which position up to which records are gone, and somebody knows."""
    try:
        return msgspec.json.decode((folder / _GAPS).read_bytes(), type=list[list[int]])
    except FileNotFoundError:
        return []
    except DECODE_ERRORS:
        raise WorkError(
            str(folder / _GAPS), "cannot be read", "the log as it was written"
        ) from None


def is_gap_known(folder: Path, end: int, first: int) -> bool:
    """Whether somebody knows of all records that are gone from one position up to another."""
    for start, until in sorted(read_gaps(folder)):
        if start <= end < until:
            end = until
    return end >= first


def add_gaps(folder: Path, gaps: list[list[int]]) -> None:
    """Notes that records are gone."""
    with atomic_file(folder / _GAPS) as beside:
        beside.write_bytes(msgspec.json.encode([*read_gaps(folder), *gaps]))


def repair_files(folder: Path, files: list[Path]) -> list[str]:
    """Repairs the files of a log, in their order, while nobody writes; what was done, in words."""
    said: list[str] = []
    for at, path in enumerate(files):
        after = int(files[at + 1].stem) if at + 1 < len(files) else None
        try:
            segment.read(path)
        except WorkError:
            aside = _free(path.with_name(path.name + _ASIDE))
            if path.suffix == SEALED:
                path.rename(aside)
                segment.sums_path(path).unlink(missing_ok=True)
                said.append(
                    f"{path.name} was changed after it was sealed, and is set aside as {aside.name}"
                )
            else:
                said += _copied(path, aside, after)
    return said + _noted(folder)


def _free(path: Path) -> Path:
    """Finds a name that no file has: what was set aside before stays."""
    count, free = 1, path
    while free.exists():
        count += 1
        free = path.with_name(f"{path.name}-{count}")
    return free


def _copied(path: Path, aside: Path, after: int | None) -> list[str]:
    """Writes the whole frames of a file anew, in a file of their own for each run of them.

    Each stays at its position. What a frame held whose head is damaged, too, is known from where
    the next file begins; else as many records are taken for lost as could have stood there, so that
    no position is given twice.
    """
    data, first = path.read_bytes(), int(path.stem)
    frames = list(find_frames(data, 0))
    counted = sum(count for _, _, count, _ in frames)
    unknown = None if after is None else max(after - first - counted, 0)
    runs: list[tuple[int, list[bytes]]] = [(first, [])]
    position, end, whole = first, 0, 0
    for begin, until, count, is_whole in [*frames, (len(data), len(data), 0, False)]:
        if begin > end:  # bytes that are no frame
            position += (begin - end) // _LEAST_BYTES + 1 if unknown is None else unknown
            unknown = unknown and 0
            runs.append((position, []))
        position, end = position + count, until
        if is_whole:
            runs[-1][1].append(data[begin:until])
            whole += count
        elif count:
            runs.append((position, []))
    if after is not None and not runs[-1][1]:
        runs.pop()  # the next file goes on from there
    aside.hardlink_to(path)
    # The damaged file gives way last: where the process dies before, the log is refused as it was.
    written = [
        (start, pieces) for at, (start, pieces) in enumerate(runs) if pieces or at == len(runs) - 1
    ]
    for start, pieces in reversed(written):
        with atomic_file(path.with_name(f"{start:020d}{OPEN}")) as beside:
            beside.write_bytes(b"".join(pieces))
    if first not in dict(written):
        path.unlink()
    return [f"{whole} records of {path.name} were copied; the file is set aside as {aside.name}"]


def _noted(folder: Path) -> list[str]:
    """Notes the gaps that there are now."""
    files = sorted(
        {
            int(path.stem): path
            for path in sorted(folder.iterdir())
            if path.suffix in (OPEN, SEALED)
        }.items()
    )
    gaps = []
    for (first, path), (after, _) in pairwise(files):
        end = first + segment.read(path).height
        if end < after and not is_gap_known(folder, end, after):
            gaps.append([end, after])
    if gaps:
        add_gaps(folder, gaps)
    return [f"records {end} to {after - 1} are gone" for end, after in gaps]
