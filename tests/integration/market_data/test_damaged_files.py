"""Files that are damaged never reach the gate: the import names them and the lake stays as it was."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.domain.errors import DataError
from include.market_data.sources.files import FileKind
from tests.market import Columns, bars, filled_lake, table
from tests.market_files import dump_text, import_file, mapping, source_of

COUNT = 500


def parquet(path: Path, columns: Columns) -> None:
    pq.write_table(table(columns), path)


def dump(path: Path, columns: Columns) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}.csv", dump_text(columns, header=False))


def cut(write: Callable[[Path, Columns], None], share: float) -> Callable[[Path], None]:
    """A file of which only the first part arrived."""

    def make(path: Path) -> None:
        write(path, bars(COUNT))
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return make


def flipped(path: Path) -> None:
    """A zip in which a byte of the data changed on the way."""
    dump(path, bars(COUNT))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


DAMAGED: dict[str, tuple[str, FileKind, Callable[[Path], None]]] = {
    "half a Parquet file": ("BTCUSDT.parquet", FileKind.PARQUET, cut(parquet, 0.5)),
    "a Parquet file without its last bytes": ("BTCUSDT.parquet", FileKind.PARQUET, cut(parquet, 0.99)),
    "a Parquet file of another kind": (
        "BTCUSDT.parquet",
        FileKind.PARQUET,
        lambda p: p.write_text("open,high") and None,
    ),
    "an empty Parquet file": ("BTCUSDT.parquet", FileKind.PARQUET, lambda p: p.touch()),
    "an empty CSV file": ("BTCUSDT.csv", FileKind.CSV, lambda p: p.touch()),
    "an empty zip": ("BTCUSDT-1m-2024-01.zip", FileKind.DUMP, lambda p: p.touch()),
    "half a zip": ("BTCUSDT-1m-2024-01.zip", FileKind.DUMP, cut(dump, 0.5)),
    "a zip without its directory": ("BTCUSDT-1m-2024-01.zip", FileKind.DUMP, cut(dump, 0.99)),
    "a zip with a wrong byte": ("BTCUSDT-1m-2024-01.zip", FileKind.DUMP, flipped),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_by_name_and_changes_nothing(tmp_path: Path, name: str) -> None:
    file, kind, damage = DAMAGED[name]
    lake = filled_lake(tmp_path).lake
    before = sorted((p, p.read_bytes()) for p in lake.state.rglob("*.parquet"))
    folder = tmp_path / "files"
    folder.mkdir()
    damage(folder / file)
    used = mapping("binance-dump" if kind is FileKind.DUMP else "default")
    with pytest.raises(DataError, match=file):
        import_file(lake, source_of(folder / file, kind, used))
    assert sorted((p, p.read_bytes()) for p in lake.state.rglob("*.parquet")) == before
