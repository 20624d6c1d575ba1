"""The log keeps what it acknowledged, whatever is killed, and others read it as it is."""

import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.clock import DAY_US, SYSTEM, ManualClock
from headrace.errors import WorkError
from headrace.log import sealer
from headrace.log.frames import Frame, Record, RecordBatch, time_in_id
from headrace.log.log import Log
from headrace.log.segment import COLUMNS

spawned = multiprocessing.get_context("spawn")


def record(at: int, kind: str = "clicks") -> Record:
    return Record(str(at), at, at + 1, kind, b'{"at":%d}' % at)


def append(log: Log, *records: Record | RecordBatch) -> int:
    with log.append_lock():
        return log.append(records)


batches_of = st.lists(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=7), max_size=12)


def packed(records: list[Record]) -> RecordBatch:
    """Records of one kind, told together in two pieces."""
    middle = len(records) // 2
    pieces = []
    for some in (records[:middle], records[middle:]):
        values = [b'{"at": %b}' % one.id.encode() for one in some]
        named = [
            b'{"by":"id","x":[{"id":1}], "id" :"%014x-%b"}' % (one.time, one.kind.encode())
            for one in some
        ]
        pieces += [b' {"rows": [\n' + b", ".join(values) + b"]}", b"[" + b",".join(named) + b"]"]
    head = b'{"first":%b' % records[0].id.encode()
    return RecordBatch(
        len(records), records[0].kind, head, ["value", "named"], "id", memoryview(b",".join(pieces))
    )


def apart(packed: RecordBatch) -> list[Record]:
    """What is read of it."""
    told = zip(*packed.unpack(), strict=True)
    return [
        Record(id, time_in_id(id), time_in_id(id), packed.kind, payload) for id, payload in told
    ]


@given(
    batches=batches_of,
    reopen=st.booleans(),
    packs=st.booleans(),
    beside=st.booleans(),
    frames=st.booleans(),
)
def test_what_was_appended_is_read_in_its_order(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[str]],
    reopen: bool,
    packs: bool,
    beside: bool,
    frames: bool,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    full = (lambda: None) if beside else None
    logs = [
        Log(folder, segment=10, full=full),
        Log(folder, segment=10, full=full),
    ]  # as two processes have it open
    log = logs[0]
    written: list[Record] = []
    for turn, kinds in enumerate(batches):
        records = [record(len(written) + at, kind) for at, kind in enumerate(kinds)]
        told: list[Record | RecordBatch] = list(records)
        if packs and turn % 2 and len(set(kinds)) == 1:
            together = packed(records)
            told, records = [together], apart(together)
        written += records
        log = Log(folder, segment=10, full=full) if reopen else logs[turn % 2]
        if frames:
            with log.append_lock():
                assert log.append(Frame(told)) == len(written)
        else:
            assert append(log, *told) == len(written)
        if beside and turn % 3 == 2:
            Log(folder).seal_full()
    found = log.read()
    assert found["position"].to_list() == list(range(len(written)))
    assert found["payload"].to_list() == [one.payload.decode() for one in written]
    assert found["id"].to_list() == [one.id for one in written]
    assert found["time"].to_physical().to_list() == [one.time for one in written]
    assert found["available"].to_physical().to_list() == [one.available for one in written]
    assert found.schema == COLUMNS
    half = len(written) // 2
    assert log.read("a", half)["id"].to_list() == [
        one.id for one in written[half:] if one.kind == "a"
    ]
    assert log.read("b", until=half)["id"].to_list() == [
        one.id for one in written[:half] if one.kind == "b"
    ]
    assert log.position(["b"]) == max(
        (at + 1 for at, one in enumerate(written) if one.kind == "b"), default=0
    )


def test_records_that_were_told_together_are_read_one_by_one() -> None:
    found = apart(packed([record(at) for at in (3, 8, 9)]))
    assert [one.id for one in found] == [
        "00000000000003-clicks",
        "00000000000008-clicks",
        "00000000000009-clicks",
    ]
    assert [one.time for one in found] == [3, 8, 9]
    named = b'{"by":"id","x":[{"id":1}], "id" :"%014x-clicks"}'
    told = [b'{"first":3,"value":{"at": %d},"named":%b}' % (at, named % at) for at in (3, 8, 9)]
    assert [one.payload for one in found] == told


def test_a_process_beside_the_one_that_appends_seals(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def full() -> None:
        started.append(sealer.start(tmp_path, 10**6))
        assert os.getpgid(started[-1].pid) != os.getpgid(0)  # Ctrl-C is not for it

    log = Log(tmp_path, segment=4, full=full)
    for at in range(10):
        append(log, record(at))
        if at == 5:
            assert started[0].wait(60) == 0
    assert [process.wait(60) for process in started] == [0, 0]
    assert sorted(path.suffix for path in tmp_path.glob("0*")) == [
        ".open",
        ".parquet",
        ".parquet",
        ".sum",
        ".sum",
    ]
    assert log.read()["id"].to_list() == [str(at) for at in range(10)]


def test_zeros_that_a_loss_of_power_left_are_cut_off(tmp_path: Path) -> None:
    append(Log(tmp_path), record(0))
    (path,) = tmp_path.glob("*.open")
    path.write_bytes(path.read_bytes() + bytes(100))
    append(Log(tmp_path), record(1))
    assert Log(tmp_path).read()["id"].to_list() == ["0", "1"]


def test_what_a_killed_sealer_left_behind_does_not_come_back(tmp_path: Path) -> None:
    log = Log(tmp_path, segment=2, full=lambda: None)
    for at in range(3):
        append(log, record(at))
    first = min(tmp_path.glob("*.open"))
    kept = first.read_bytes()
    half = tmp_path / f".{first.stem}.parquet-half.parquet"
    half.touch()  # it was killed before this one was whole
    assert Log(tmp_path).seal_full() == 1
    assert not half.exists()
    first.write_bytes(kept)  # it was killed before this one was removed
    Log(tmp_path).seal_full()
    assert not first.exists()
    assert Log(tmp_path).read()["id"].to_list() == ["0", "1", "2"]


def test_segments_are_parquet_that_others_read(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    log = Log(tmp_path, segment=4)
    for at in range(10):
        append(log, record(at))
    assert sorted(path.suffix for path in tmp_path.glob("0*")) == [
        ".open",
        ".parquet",
        ".parquet",
        ".sum",
        ".sum",
    ]
    query = (
        f"select sum((payload->>'at')::int), max(available), count(*) from '{tmp_path}/*.parquet'"
    )
    assert duckdb.sql(query).fetchall() == [(28, pl.Series([8]).cast(pl.Datetime("us"))[0], 8)]
    assert pl.scan_parquet(tmp_path / "*.parquet").collect()["id"].to_list() == [
        str(at) for at in range(8)
    ]
    with log.append_lock():
        log.seal()
    assert pl.scan_parquet(tmp_path / "*.parquet").collect().height == 10


def test_a_torn_record_is_cut_off_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path)
    append(log, record(0))
    append(log, record(1))
    (path,) = tmp_path.glob("*.open")
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        assert log.read()["id"].to_list() == ["0"]
        assert append(Log(tmp_path), record(7)) == 2
        assert log.read()["id"].to_list() == ["0", "7"]
    path.write_bytes(whole[:12] + bytes([whole[12] ^ 1]) + whole[13:])
    with pytest.raises(WorkError, match="a damaged record"):
        log.read()
    with pytest.raises(WorkError, match="a damaged record"):
        append(Log(tmp_path), record(2))
    assert len(path.read_bytes()) == len(whole)


def ids_of(folder: Path) -> list[str]:
    return Log(folder).read()["id"].to_list()


def flipped(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)


def check_flip(source: Path, folder: Path, chance: np.random.Generator, records: int) -> str:
    """Flips one bit of a log: nothing is lost in silence, but for the frame that was hit; repaired,
    it goes on.
    """
    shutil.copytree(source, folder)
    files = sorted(
        path for path in folder.iterdir() if path.suffix in (".open", ".parquet", ".sum")
    )
    sizes = np.array([path.stat().st_size for path in files])
    path = files[int(chance.choice(len(files), p=sizes / sizes.sum()))]
    flipped(path, int(chance.integers(path.stat().st_size * 8)))
    before = {one.name: one.read_bytes() for one in files}
    told = False
    for use in (lambda: ids_of(folder), lambda: append(Log(folder), record(99))):
        try:
            use()
        except WorkError as error:
            assert str(folder) in str(error)
            assert "headrace log repair" in str(error)
            told = True
    if not told:
        assert ids_of(folder) == [str(at) for at in range(records)] + ["99"]
        return "harmless"
    assert all((folder / name).read_bytes().startswith(content) for name, content in before.items())
    assert Log(folder).repair()
    kept = [one for one in ids_of(folder) if one != "99"]
    assert set(kept) <= {str(at) for at in range(records)}
    assert kept == sorted(kept, key=int)
    frame = 5 if path.suffix == ".open" else 20
    assert len(kept) >= records - frame
    assert append(Log(folder), record(100)) > records - frame
    assert ids_of(folder)[-1] == "100"
    return "told"


@pytest.fixture(scope="module")
def flippable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sealed segments of 20 records, and an open file of 15, five in a frame."""
    folder = tmp_path_factory.mktemp("flippable") / "log"
    log = Log(folder, segment=20)
    for at in range(0, 55, 5):
        with log.append_lock():
            log.append([record(one) for one in range(at, at + 5)])
    return folder


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_is_told_and_loses_one_frame_at_most(
    flippable: Path, tmp_path: Path, seed: int
) -> None:
    check_flip(flippable, tmp_path / "log", np.random.default_rng(seed), 55)


@pytest.mark.slow
def test_a_thousand_flipped_bits(flippable: Path, tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    found = [check_flip(flippable, tmp_path / str(at), chance, 55) for at in range(1_000)]
    assert found.count("told") > 900


def test_every_bit_of_the_head_of_a_frame(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for at in range(3):
        append(log, record(at))
    (path,) = tmp_path.glob("*.open")
    whole = path.read_bytes()
    for start in (0, len(whole) // 3):
        for bit in range(16 * 8):
            path.write_bytes(whole)
            flipped(path, start * 8 + bit)
            with pytest.raises(WorkError, match="a damaged record"):
                append(Log(tmp_path), record(9))
            assert len(path.read_bytes()) == len(whole)


def test_a_segment_that_is_gone_or_half_there_is_told(flippable: Path, tmp_path: Path) -> None:
    shutil.copytree(flippable, tmp_path / "gone")
    middle = sorted((tmp_path / "gone").glob("*.parquet"))[1]
    middle.unlink()
    log = Log(tmp_path / "gone")
    with pytest.raises(WorkError, match="records 20 to 39 are gone"):
        log.read()
    assert log.repair() == ["records 20 to 39 are gone"]
    assert log.read()["id"].to_list() == [str(at) for at in [*range(20), *range(40, 55)]]
    assert log.read()["position"].to_list() == [*range(20), *range(40, 55)]
    shutil.copytree(flippable, tmp_path / "half")
    first = min((tmp_path / "half").glob("*.parquet"))
    first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    with pytest.raises(WorkError, match="has been changed since it was sealed"):
        Log(tmp_path / "half").read()


@pytest.mark.parametrize("bit", [0, 40, 16 * 8 + 3])
@pytest.mark.parametrize("last", [True, False])
def test_what_is_whole_stays_where_it_was(tmp_path: Path, bit: int, last: bool) -> None:
    """Also where a damaged frame held several records, and where its head does not say any more how
    many.
    """
    log = Log(tmp_path)
    append(log, record(0))
    (path,) = tmp_path.glob("*.open")
    start = path.stat().st_size
    append(log, *(record(at) for at in range(1, 6)))
    end = 6 if last else append(log, record(6))
    flipped(path, start * 8 + bit)
    said = Log(tmp_path).repair()
    assert any("are gone" in one for one in said) or last
    found = Log(tmp_path).read()
    assert found["id"].to_list() == (["0"] if last else ["0", "6"])
    if bit >= 16 * 8:
        assert found["position"].to_list() == ([0] if last else [0, 6])
    assert found["position"][-1] >= (0 if last else 6)
    assert (
        append(Log(tmp_path), record(7)) > end
    )  # no position that was acknowledged is given again


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    contents = []
    for at in range(2):
        for one in range(3):
            append(Log(tmp_path), record(10 * at + one))
        path = min(tmp_path.glob("*.open"))
        flipped(path, (path.stat().st_size // 2) * 8)
        contents.append(path.read_bytes())
        Log(tmp_path).repair()
    assert [one.read_bytes() for one in sorted(tmp_path.glob("*.damaged*"))] == contents


def test_what_is_known_of_a_segment_is_believed_whole_alone(
    flippable: Path, tmp_path: Path
) -> None:
    sums = min(flippable.glob("*.sum"))
    for bit in range(sums.stat().st_size * 8):
        folder = tmp_path / str(bit)
        folder.mkdir()
        for one in sums.parent.glob(f"{sums.stem}.*"):
            shutil.copy(one, folder)
        flipped(folder / sums.name, bit)
        with pytest.raises(WorkError, match="has been changed since it was sealed"):
            Log(folder).read()


def test_a_log_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    body = msgspec.msgpack.encode([record(0), record(1)])
    frame = struct.pack("<III", len(body), 2, zlib.crc32(body, 2)) + body
    (tmp_path / f"{0:020d}.open").write_bytes(frame * 2)
    assert ids_of(tmp_path) == ["0", "1", "0", "1"]
    assert append(Log(tmp_path), record(2)) == 5
    assert ids_of(tmp_path) == ["0", "1", "0", "1", "2"]
    with Log(tmp_path).append_lock():
        pass


@pytest.mark.parametrize("step", ["parquet", "both", "open"])
@pytest.mark.parametrize("known", [False, True])
def test_sealing_may_be_killed_between_any_two_steps(
    tmp_path: Path, step: str, known: bool
) -> None:
    log, another = Log(tmp_path), Log(tmp_path)
    append(another, record(0))
    append(log, record(1))
    with another.append_lock():  # it knows all of the file
        pass
    (open_,) = tmp_path.glob("*.open")
    kept = open_.read_bytes()
    with log.append_lock():
        log.seal()
    if step in ("parquet", "both"):
        (tmp_path / f"{2:020d}.open").unlink()
    if step in ("both", "open"):
        open_.write_bytes(kept)
    again = another if known else Log(tmp_path)
    assert again.read()["id"].to_list() == ["0", "1"]
    assert append(again, record(2)) == 3
    assert again.read()["position"].to_list() == [0, 1, 2]
    assert Log(tmp_path).read()["id"].to_list() == ["0", "1", "2"]


def test_what_was_known_too_long_ago_is_removed_and_positions_go_on(tmp_path: Path) -> None:
    log = Log(tmp_path, segment=5, retention=10)
    for at in range(40):
        append(log, record(at))
    kept = log.read()["position"].to_list()
    assert kept == list(range(25, 40))
    assert append(Log(tmp_path), record(40)) == 41


def test_a_record_of_the_far_future_removes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path, segment=1, retention=10 * 365 * 86_400 * 10**6)
    append(log, Record("now", 0, time.time_ns() // 1000, "k", b"{}"))
    append(log, Record("later", 0, 10**16, "k", b"{}"))
    assert log.read()["id"].to_list() == ["now", "later"]


@pytest.mark.slow
def test_large_records_are_sealed_in_little_memory(tmp_path: Path) -> None:
    code = """
import os, resource, sys
from pathlib import Path
from headrace.log import Log
from headrace.log.frames import Record
log = Log(Path(sys.argv[1]), segment=10**9)
for at in range(0, 4096, 64):
    with log.append_lock():
        texts = [b'"%b"' % os.urandom(50_000).hex().encode() for _ in range(64)]
        log.append([Record(str(at + one), 1, 1, "c", text) for one, text in enumerate(texts)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with log.append_lock():
    log.seal()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 500  # megabytes, of 400


def test_a_clock_that_jumps_removes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(SYSTEM.now_us())

    def write(count: int) -> None:
        log = Log(tmp_path, segment=5, retention=30 * DAY_US, clock=clock)
        for _ in range(count):
            now = clock.now_us()
            append(log, Record(str(now), now, now, "clicks", b"{}"))

    def pass_by(days: float, jump: float = 0.0) -> None:
        clock.advance(days * 86_400)
        clock.set(clock.now_us() + round(jump * DAY_US))

    write(6)
    pass_by(1)
    write(6)
    assert Log(tmp_path).read().height == 12
    pass_by(0.1, jump=200)
    with pytest.warns(RuntimeWarning, match="the clock has jumped"):
        write(6)
    assert Log(tmp_path).read().height == 18
    pass_by(0, jump=-200)  # it is set right
    write(6)
    assert Log(tmp_path).read().height == 24
    pass_by(40)
    write(6)
    left = Log(
        tmp_path
    ).read()  # what is over its retention goes; what says that it is of the future stays
    assert left.height == 20
    assert left["position"][0] == 10
    pass_by(0, jump=100)
    with pytest.warns(RuntimeWarning, match="the clock has jumped"):
        write(5)
    kept = Log(tmp_path).read().height
    pass_by(2)
    write(5)  # it went on evenly for more than a day
    assert Log(tmp_path).read().height <= kept


def test_a_segment_that_cannot_be_written_does_not_refuse_what_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, segment=2)

    def full(path: Path) -> None:
        raise WorkError(str(path), "no room")

    monkeypatch.setattr("headrace.log.segment.atomic_file", full)
    assert [append(log, record(at)) for at in range(3)] == [1, 2, 3]
    monkeypatch.undo()
    assert append(log, record(3)) == 4
    assert log.read()["position"].to_list() == [0, 1, 2, 3]
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_a_full_disk_acknowledges_nothing(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from headrace.errors import WorkError
from headrace.log import Log, Record
log = Log(Path({str(tmp_path)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
done = 0
with log.append_lock():
    try:
        while True:
            log.append([Record("x", 0, 0, "k", b"p" * 100)])
            done += 1
    except WorkError as error:
        assert "cannot be written" in str(error)
print(done)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Log(tmp_path).read().height == int(done.stdout) > 10
    assert append(Log(tmp_path), record(1)) == int(done.stdout) + 1


def _append_many(folder: Path, name: str) -> None:
    log = Log(folder, segment=70)
    for at in range(150):
        append(log, Record(f"{name}-{at}", 0, 0, "k", b"{}"))


def test_processes_take_turns_while_another_reads(tmp_path: Path) -> None:
    workers = [spawned.Process(target=_append_many, args=(tmp_path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        positions = Log(tmp_path).read()["position"].to_list()
        assert positions == list(range(len(positions)))
    found = Log(tmp_path).read()["id"].to_list()
    for name in "ab":
        assert [one for one in found if one.startswith(name)] == [
            f"{name}-{at}" for at in range(150)
        ]


def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from headrace.log import Log, Record
log = Log(Path({str(tmp_path)!r}), segment=300)
at = 0
while True:
    with log.append_lock():
        records = [Record(str(at + more), 0, 0, "k", b"{{}}") for more in range(3)]
        print(log.append(records), flush=True)
    at += 3
"""
    for _ in range(3):
        before = Log(tmp_path).position(["k"])
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        os.kill(process.pid, 9)
        said = [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        found = Log(tmp_path).read()["position"].to_list()
        assert found == list(range(len(found)))
        assert (len(found) - before) % 3 == 0
        assert len(found) >= max(said, default=0)


def test_an_open_file_of_another_version_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path)
    append(log, record(1))
    (path,) = tmp_path.glob("*.open")
    body = msgspec.msgpack.encode([[1, "another", "form"]])
    path.write_bytes(
        path.read_bytes() + struct.pack("<III", len(body), 1, zlib.crc32(body, 1)) + body
    )
    with pytest.raises(WorkError, match="records of another form"):
        log.read()
