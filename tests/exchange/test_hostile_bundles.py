"""Hostile and damaged bundles: one sentence each, and nothing is written."""

from __future__ import annotations

import pickle
import random
import stat
import struct
import zipfile

import pytest
from bundle_cases import bundle_of, files_of, raw_zip, some_runs

from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.exchange.bundles import bundle as bundles
from mil_bench.exchange.bundles.bundle import MANIFEST, BundleError, manifest_text
from mil_bench.exchange.bundles.read_bundle import read_bundle
from mil_bench.exchange.bundles.sources import unpacked


@pytest.fixture
def files(tmp_path):
    return files_of(some_runs(tmp_path / "made", folds=1))


@pytest.fixture
def refuse(tmp_path):
    """Check that a file is refused in one sentence with ``words``, and that nothing is written."""

    def check(path, *words):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(BundleError) as refusal:
            unpacked(path, tmp_path / "cache")
        text = str(refusal.value)
        assert "\n" not in text
        assert str(path) in text
        for word in words:
            assert word in text
        assert sorted(tmp_path.rglob("*")) == before
        assert not (tmp_path / "cache").exists()

    return check


RUN = "runs/digit-bags/abmil/0123456789abcdef"
NAMES = [
    "../outside.json", "/etc/passwd", f"{RUN}/../../../../../x/spec.json", f"{RUN}\\spec.json",
    "C:/spec.json", f"{RUN}/checkpoint.pt", f"{RUN}/model.pkl", f"{RUN}/inner.zip",
    f"{RUN}/spec.json/", "runs/", f"{RUN}/predictions.csv.gz",
    "runs/../abmil/0123456789abcdef/spec.json",
    "runs/digit-bags/-rf/0123456789abcdef/spec.json", f"{RUN}/spec.json\n", "",
    "runs/.hidden/abmil/0123456789abcdef/spec.json", "x" * 5000, "MANIFEST.SHA256 ",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_members_that_are_not_on_the_list_are_refused(tmp_path, files, refuse, name):
    refuse(raw_zip(tmp_path / "b.zip", files | {name: b"{}"}), "may not be in a bundle")


def test_a_pickle_under_an_allowed_name_is_refused_as_json(tmp_path, files, refuse):
    (name,) = (name for name in files if name.endswith("env.json"))
    refuse(raw_zip(tmp_path / "b.zip", files | {name: pickle.dumps({"a": 1})}), name)


@pytest.mark.parametrize(
    ("mode", "word"),
    [(stat.S_IFLNK, "link"), (stat.S_IFDIR, "special"), (stat.S_IFIFO, "special")],
)
def test_links_and_special_files_are_refused(tmp_path, files, refuse, mode, word):
    def rewrite(info):
        if info.filename.endswith("env.json"):
            info.create_system, info.external_attr = 3, (mode | 0o777) << 16

    refuse(raw_zip(tmp_path / "b.zip", files, rewrite=rewrite), word)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", [str, str.upper])
def test_a_member_twice_is_refused(tmp_path, files, refuse, case):
    name = "runs/digit-bags/abmil/0123456789abcdef/spec.json"
    again = name.replace("abmil", case("abmil"))
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")
        archive.writestr(again, "{}")
    refuse(path, "twice")


def _env(files):
    return next(name for name in files if name.endswith("env.json"))


def test_hashes_that_are_wrong_missing_or_too_many_are_refused(tmp_path, files, refuse):
    path = tmp_path / "b.zip"
    probe = raw_zip(tmp_path / "probe.zip", files)
    with zipfile.ZipFile(probe) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    name = _env(files)
    refuse(raw_zip(path, whole | {name: b'{"forged": 1}'}), "was changed")
    refuse(raw_zip(path, {k: v for k, v in whole.items() if k != name}), "lacks")
    additional = f"{name.rpartition('/')[0]}/train.csv"
    refuse(raw_zip(path, whole | {additional: b"a\n"}), "does not list")
    manifest = whole[MANIFEST].decode()
    for text in (manifest + "x  y\n", manifest + manifest, "\x00" + manifest, manifest[3:]):
        refuse(raw_zip(path, whole | {MANIFEST: text.encode()}), MANIFEST)
    refuse(raw_zip(path, whole | {MANIFEST: b"\xff\xfe"}), "UTF-8")


def test_a_bundle_without_manifest_submission_or_runs_is_refused(tmp_path, files, refuse):
    path = tmp_path / "b.zip"
    refuse(raw_zip(path, files, manifest=False), MANIFEST)
    refuse(raw_zip(path, files, submission=False), "submission.toml")
    refuse(raw_zip(path, {}), "no runs")
    refuse(raw_zip(path, {k: v for k, v in files.items() if "predictions" not in k}), "predictions")
    bad = files | {"submission.toml": b"people = 3\n"}
    refuse(raw_zip(path, bad), "submission.toml", "people")


@pytest.mark.parametrize(
    "text",
    [b"[1]", b"{", b'{"a": NaN}', b'{"a": -Infinity}', b"\xff", b"", b"[" * 100_000, b"null"],
)
def test_json_that_is_not_an_object_is_refused(tmp_path, files, refuse, text):
    refuse(raw_zip(tmp_path / "b.zip", files | {_env(files): text}), "env.json")


def test_huge_members_and_bombs_are_refused(tmp_path, files, refuse, monkeypatch):
    path = tmp_path / "b.zip"
    huge = b'{"a": "' + random.Random(0).randbytes(3 * 2**20).hex().encode() + b'"}'
    refuse(raw_zip(path, files | {_env(files): huge}), "bytes")
    csv = next(name for name in files if name.endswith("predictions.csv"))
    refuse(raw_zip(path, files | {csv: b"\0" * 5_000_000}), "zip bombs")
    refuse(raw_zip(path, files | {csv: b"a,b\n" * 17_000_000}), "bytes")
    numbers = "".join(f"{i},{i * 7919 % 100_003}\n" for i in range(300_000)).encode()
    refuse(raw_zip(path, files | {csv: numbers}), "lines")
    monkeypatch.setattr("mil_bench.exchange.bundles.read_bundle.LARGEST_BUNDLE", 4000)
    refuse(raw_zip(path, files), "unpacked" if path.stat().st_size <= 4000 else "bytes")
    monkeypatch.undo()
    monkeypatch.setattr("mil_bench.exchange.bundles.read_bundle.MOST_MEMBERS", 3)
    refuse(raw_zip(path, files), "members")


def test_encrypted_nested_and_foreign_files_are_refused(tmp_path, files, refuse):
    path = raw_zip(tmp_path / "b.zip", files)
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    struct.pack_into("<H", content, start + 8, 0x1)
    (tmp_path / "locked.zip").write_bytes(content)
    refuse(tmp_path / "locked.zip", "encrypted")
    for text in (b"", b"PK", b"hello", path.read_bytes()[:-30], path.read_bytes()[200:]):
        (tmp_path / "other.zip").write_bytes(text)
        refuse(tmp_path / "other.zip", "damaged")
    (tmp_path / "lzma.zip").unlink(missing_ok=True)
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(MANIFEST, "x")
    refuse(tmp_path / "lzma.zip", "compressed")


def test_members_that_overlap_are_refused(tmp_path, files, refuse):
    path = raw_zip(tmp_path / "b.zip", files)
    content = bytearray(path.read_bytes())
    first = content.find(b"PK\x01\x02")
    second = content.find(b"PK\x01\x02", first + 4)
    struct.pack_into("<I", content, second + 42, 1)  # the offset of the first member, and a bit
    (tmp_path / "o.zip").write_bytes(content)
    refuse(tmp_path / "o.zip", "overlap")


def test_a_size_that_is_stated_wrongly_is_refused(tmp_path, files, refuse):
    path = raw_zip(tmp_path / "b.zip", files)
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    (size,) = struct.unpack_from("<I", content, start + 24)
    for wrong in (size + 100, size - 1, 0):
        struct.pack_into("<I", content, start + 24, wrong)
        (tmp_path / "w.zip").write_bytes(content)
        refuse(tmp_path / "w.zip")


def test_a_path_without_a_file_is_refused_and_a_folder_is_not_a_bundle(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(DataError, match=r"cannot read|no folder"):
            unpacked(path, tmp_path / "cache")


def test_mutations_never_crash_and_never_change_content(tmp_path):
    """Bytes changed, cut or doubled: the bundle is refused, or its content is the same."""
    whole = bundle_of(some_runs(tmp_path / "made", folds=1), tmp_path / "b.zip").read_bytes()
    expected = read_bundle(tmp_path / "b.zip")
    rng = random.Random(7)
    path = tmp_path / "m.zip"
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        at = rng.randrange(len(content))
        kind = rng.randrange(4)
        if kind == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at : at + rng.randrange(1, 50)]
        elif kind == 2:
            content[at:at] = content[at : at + rng.randrange(1, 50)]
        else:
            content[at : at + 4] = rng.randbytes(4)
        path.write_bytes(content)
        try:
            mutated = read_bundle(path)
        except MilBenchError:
            refused += 1
        else:
            assert mutated.files == expected.files
    assert refused > 200


def test_members_may_be_mutated_without_a_crash(tmp_path):
    """Manifests that fit, around JSON, CSV and TOML that were damaged."""
    files = files_of(some_runs(tmp_path / "made", folds=1))
    files["submission.toml"] = read_bundle(bundle_of(tmp_path / "made", tmp_path / "b.zip")).files[
        "submission.toml"
    ]
    rng = random.Random(3)
    for _ in range(150):
        name = rng.choice(sorted(files))
        content = bytearray(files[name])
        at = rng.randrange(len(content))
        content[at : at + rng.randrange(1, 6)] = rng.randbytes(rng.randrange(5))
        mutated = files | {name: bytes(content)}
        mutated[MANIFEST] = manifest_text(mutated).encode()
        path = raw_zip(tmp_path / "m.zip", mutated, submission=False, manifest=False)
        try:
            bundle = read_bundle(path)
        except BundleError:
            continue
        assert set(bundle.files) == set(mutated)


def test_limits_hold_what_real_cohorts_need():
    """PANDA has 10,616 slides, and 17 digits for each of six classes and two heads."""
    line = 40 + 12 * 24
    assert bundles.MOST_LINES > 2 * 10_616
    assert 2 * 10_616 * line < bundles.LARGEST_TABLE
