"""One contract for lakes on disk and in stores; and what a store adds: faults, several machines, bad addresses."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from include.domain.errors import AirlockError, ConfigurationError, RetryableError
from include.market_data.lake import ParquetLake
from include.market_data.storage import FOOTER_BYTES, open_storage
from tests.adapters.foreign_disk import PROTOCOL, ForeignDisk
from tests.adapters.lake_contract import BTC, END, ETH, WINDOW, LakeContract, first
from tests.market import MINUTE, NOW, START, bars, minutes, table


class TestLocalLake(LakeContract):
    def root(self, folder: Path) -> Path | str:
        return folder / "lake"

    def files(self, folder: Path) -> dict[str, bytes]:
        root = folder / "lake"
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.suffix}

    def damage(self, folder: Path, key: str, content: bytes) -> None:
        (folder / "lake" / key).write_bytes(content)

    def test_its_state_lies_in_the_lake_itself(self, tmp_path: Path) -> None:
        lake = self.lake(tmp_path)
        assert lake.root == lake.state == tmp_path / "lake"
        assert open_storage(f"file://{tmp_path}/lake").state == tmp_path / "lake"


class TestObjectStoreLake(LakeContract):
    """`memory://`: listings, ranges and whole objects, as object stores have them."""

    def root(self, folder: Path) -> Path | str:
        return f"memory:/{folder}/lake"

    def files(self, folder: Path) -> dict[str, bytes]:
        store = fsspec.filesystem("memory")
        prefix = f"{folder}/lake/"
        return {path.removeprefix(prefix): store.cat_file(path) for path in store.find(prefix)}

    def damage(self, folder: Path, key: str, content: bytes) -> None:
        fsspec.filesystem("memory").pipe_file(f"{folder}/lake/{key}", content)

    def test_its_state_is_local_and_kept_apart_by_address(self, tmp_path: Path) -> None:
        one = self.lake(tmp_path)
        other = ParquetLake("memory://other", {}, state=tmp_path / "here")
        assert one.state.parent == other.state.parent == tmp_path / "here"
        assert one.state != other.state
        assert str(one.root) == self.root(tmp_path)

    def test_a_partition_changed_by_another_machine_is_not_overwritten(self, tmp_path: Path) -> None:
        lake, _ = self.filled(tmp_path)
        more = first(5_000)
        with lake.batch() as batch:
            batch.add(BTC, more, source="here", now=NOW)
            self.lake(tmp_path, "elsewhere").ingest(
                "synthetic", "BTC/USDT", MINUTE, table(first(4_500)), source="there", now=NOW
            )
            with pytest.raises(RetryableError, match="changed by another writer"):
                batch.publish()
        assert len(lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5_000))) == 4_500
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(more), source="again", now=NOW)
        assert len(lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5_000))) == 5_000


class TestForeignFileSystemLake(LakeContract):
    """A file system behind fsspec that renames, as sftp and network disks do."""

    @pytest.fixture(autouse=True)
    def _no_faults(self) -> None:
        ForeignDisk.faults.clear()
        ForeignDisk.calls.clear()

    def root(self, folder: Path) -> Path | str:
        return f"{PROTOCOL}://{folder}/lake"

    def files(self, folder: Path) -> dict[str, bytes]:
        root = folder / "lake"
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def damage(self, folder: Path, key: str, content: bytes) -> None:
        (folder / "lake" / key).write_bytes(content)

    @pytest.mark.parametrize("call", ["pipe_file", "mv"])
    def test_a_broken_upload_leaves_no_half_file_and_is_made_good_by_the_next_import(
        self, tmp_path: Path, call: str
    ) -> None:
        lake = self.lake(tmp_path)
        lake.ingest("synthetic", "ETH/USDT", MINUTE, table(bars(10)), source="x", now=NOW)
        ForeignDisk.faults[call] = ConnectionResetError("connection reset by peer")
        with pytest.raises(RetryableError, match="the store does not answer"):
            lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(4_000)), source="x", now=NOW)
        ForeignDisk.faults.clear()
        assert [s.series for s in lake.summaries()] == [ETH]
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(4_000)), source="x", now=NOW)
        assert len(lake.bars("synthetic", "BTC/USDT", MINUTE, START, END)) == 4_000
        assert not any(".staging" in key for key in self.files(tmp_path))

    @pytest.mark.parametrize("call", ["glob", "cat_file"])
    def test_a_store_that_does_not_answer_is_no_missing_symbol(self, tmp_path: Path, call: str) -> None:
        self.filled(tmp_path)
        lake = self.lake(tmp_path, "elsewhere")
        ForeignDisk.faults[call] = TimeoutError("timed out")
        with pytest.raises(RetryableError, match=rf"{PROTOCOL}://.*does not answer \(timed out\)") as refused:
            lake.bars("synthetic", "BTC/USDT", MINUTE, START, END)
        assert "\n" not in str(refused.value)
        ForeignDisk.faults[call] = PermissionError("403 Forbidden")
        with pytest.raises(ConfigurationError, match=r"no permission \(403 Forbidden\)"):
            lake.bars("synthetic", "BTC/USDT", MINUTE, START, END)

    def test_a_bucket_that_does_not_exist_is_a_mistake_and_no_empty_lake(self, tmp_path: Path) -> None:
        ForeignDisk.faults["glob"] = FileNotFoundError("The specified bucket does not exist")
        lake = self.lake(tmp_path)
        for use in (lake.summaries, lambda: lake.holds(BTC)):
            with pytest.raises(ConfigurationError, match=r"not found \(The specified bucket does not exist\)"):
                use()

    def test_manifests_come_from_the_end_of_a_file_and_once_for_each_state(self, tmp_path: Path) -> None:
        self.filled(tmp_path)
        lake = self.lake(tmp_path, "elsewhere")
        ForeignDisk.calls.clear()
        for _ in range(3):
            lake.summaries()
        fetched = [path for call, path in ForeignDisk.calls if call == "cat_file"]
        assert len(fetched) == 2
        assert all(path.endswith(f" -{FOOTER_BYTES}") for path in fetched)

    def test_a_footer_longer_than_the_first_guess_is_read_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.filled(tmp_path)
        monkeypatch.setattr("include.market_data.storage.FOOTER_BYTES", 100)
        lake = self.lake(tmp_path, "elsewhere")
        assert lake.fingerprint(*WINDOW) == self.lake(tmp_path).fingerprint(*WINDOW)
        assert lake.summary(BTC).rows == 4_000


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("nowhere://bucket/lake", ConfigurationError, "Protocol not known: nowhere"),
        ("smb://host/lake", ConfigurationError, "driver is not installed here .*smbprotocol"),
        ("ftp://127.0.0.1:9/lake", RetryableError, "does not answer"),
        ("memory://user:hunter2@host/lake", ConfigurationError, "holds a password"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_one_line(
    address: str, error: type[AirlockError], says: str
) -> None:
    with pytest.raises(error, match=says) as refused:
        ParquetLake(address, {})
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_file_is_not_taken_for_an_empty_lake(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    for address in (tmp_path / "x", f"file://{tmp_path}/x"):
        with pytest.raises(ConfigurationError, match="is a file; a lake is a folder"):
            ParquetLake(address, {})
