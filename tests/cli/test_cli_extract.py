"""``mil-bench extract`` and ``list encoders``, as a new user types them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slide_writer import glass, paint, write_slide

from mil_bench.cli.main import main


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    return ended.value.code


def test_without_weights_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide = write_slide(tmp_path / "s.tif", paint(glass(300, 300), "pink", (0, 0, 300, 300)))
    assert call("extract", "--slides", slide, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "model.safetensors of https://huggingface.co/timm/resnet50.tv_in1k" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "there is no such file or folder of slides; check --slides."),
        (Path.mkdir, "holds no slides; expected files such as .svs"),
    ],
)
def test_slides_are_looked_for_before_the_encoder(
    make: Callable[[Path], None],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mil_bench.cli.extract._encoder", pytest.fail)
    make(tmp_path / "slides")
    assert call("extract", "--slides", tmp_path / "slides", "--out", tmp_path / "out") == 1
    assert sentence in capsys.readouterr().err


def test_one_bad_slide_makes_the_exit_code_1_and_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_slide(tmp_path / "in" / "good.tif", paint(glass(300, 300), "pink", (0, 0, 300, 300)))
    write_slide(tmp_path / "in" / "bad.tif", glass(300, 300))
    words = ["--encoder", "test_vit", "--random-weights", "--tile", 64, "--workers", 0]
    assert call("extract", "--slides", tmp_path / "in", "--out", tmp_path / "out", *words) == 1
    printed = capsys.readouterr().out
    assert "1 extracted, 0 done before, 0 incomplete, 1 failed" in printed
    assert f"failed bad: {tmp_path / 'in' / 'bad.tif'}: no tissue found" in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--mpp", "0"], "'0' is not a number above 0"),
        (["--min-tissue", "25"], "'25' is not a share from 0 to 1"),
        (["--tile", "8"], "'8' is not a whole number from 16"),
        (["--tissue", "moss"], "invalid choice: 'moss'"),
        (["--random-weights", "--download"], "not allowed with argument"),
        (["--encoder", "resnet5O", "--random-weights"], "did you mean 'resnet50'"),
        (["--precision", "16", "--device", "cpu", "--random-weights"], "requires a CUDA device"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide = write_slide(tmp_path / "s.tif", glass(200, 200))
    assert call("extract", "--slides", slide, "--out", tmp_path / "out", *words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_encoders_are_listed_with_size_scale_and_licence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("list", "encoders") == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "resnet50" in printed
    assert "UNI2-h: 1536-d" in printed
    assert "gated" in printed


def test_without_openslide_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mil_bench.base.errors import MilBenchError
    from mil_bench.extraction.slide import open_slide

    path = write_slide(tmp_path / "s.tif", glass(200, 200))
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MilBenchError, match=r"pip install 'mil-bench\[slides\]'"):
        open_slide(path)


def test_listing_encoders_imports_neither_torch_nor_timm() -> None:
    code = (
        "import sys; from mil_bench.cli.main import main\n"
        "try: main(['list', 'encoders'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'timm', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
