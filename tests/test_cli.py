import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylelab import Result, image_hash, sample
from stylelab.cli import main, parse
from stylelab.errors import InputError

QUICK = ["--size", "48", "64", "--steps", "2", "--device", "cpu"]
PAIR = ["transfer", "chenonceau", "night_cafe"]

BAD = {
    "no command": ([], "Expected one of {transfer, branch"),
    "unknown command": (["frobnicate"], "frobnicate"),
    "nothing given": (["transfer"], "Missing from stylelab transfer: CONTENT"),
    "no out": ([*PAIR], "--out PATH"),
    "unknown option": (
        [*PAIR, "-o", "x", "--stile-weight", "3"],
        "Unrecognized options: --stile-weight, 3; did you mean --style-weight?",
    ),
    "unknown preset": ([*PAIR, "-o", "x", "--preset", "papr"], "invalid choice 'papr'"),
    "preset without name": ([*PAIR, "-o", "x", "--preset"], "preset"),
    "unknown sample": (
        ["transfer", "chenoncau", "night_cafe", "-o", "x"],
        "did you mean 'chenonceau'",
    ),
    "missing file": (
        ["transfer", "nowhere.jpg", "night_cafe", "-o", "x"],
        "'nowhere.jpg' does not exist",
    ),
    "folder as image": (["transfer", ".", "night_cafe", "-o", "x"], "is a folder; name an image"),
    "text as image": (["transfer", "text.txt", "night_cafe", "-o", "x"], "not an image"),
    "cut short": (["transfer", "short.png", "night_cafe", "-o", "x"], "damaged or cut short"),
    "bad style": (["transfer", "chenonceau", "text.txt", "-o", "x"], "not an image"),
    "negative weight": ([*PAIR, "-o", "x", "--style-weight", "-3"], "style_weight=-3.0: should be"),
    "weight in words": ([*PAIR, "-o", "x", "--tv-weight", "much"], "could not convert string"),
    "no steps": ([*PAIR, "-o", "x", "--steps", "0"], "steps=0: should be greater"),
    "size zero": ([*PAIR, "-o", "x", "--size", "0", "64"], r"size=(0, 64) should be"),
    "size in words": ([*PAIR, "-o", "x", "--size", "64*96"], "write --size HEIGHT WIDTH"),
    "unknown layer": ([*PAIR, "-o", "x", "--style-layers", "relu9_1"], "unknown layer 'relu9_1'"),
    "unknown pooling": ([*PAIR, "-o", "x", "--pooling", "mean"], "invalid choice 'mean'"),
    "unknown method": ([*PAIR, "-o", "x", "--method", "gaty"], "did you mean 'gatys'"),
    "no option": ([*PAIR, "-o", "x", "--options", "a=1"], "options of 'gatys': unknown setting"),
    "option without value": (
        [*PAIR, "-o", "x", "--method", "inversion", "--options", "strength"],
        "options are written name=value",
    ),
    "unknown option of a method": (
        [*PAIR, "-o", "x", "--method", "inversion", "--options", "strenght=1"],
        "unknown setting 'strenght'",
    ),
    "option beyond its range": (
        [*PAIR, "-o", "x", "--method", "inversion", "--options", "strength=2"],
        "strength=2: should be less than or equal to 1",
    ),
    "unknown second style": (
        ["transfer", "chenonceau", "night_cafe+night_caffe", "-o", "x"],
        "did you mean 'night_cafe'",
    ),
    "shares for nobody": ([*PAIR, "-o", "x", "--blend", "1", "2"], "blend has 2 shares for 1"),
    "shares of nothing": ([*PAIR, "-o", "x", "--blend", "0"], "all shares of blend are 0"),
    "missing mask": ([*PAIR, "-o", "x", "--mask", "no.png"], "'no.png' does not exist"),
    "text as mask": ([*PAIR, "-o", "x", "--mask", "text.txt"], "not an image"),
    "unknown colours": ([*PAIR, "-o", "x", "--colours", "red"], "invalid choice 'red'"),
    "style too small": ([*PAIR, "-o", "x", "--style-scale", "0.01"], "style_scale=0.01 makes"),
    "missing device": ([*PAIR, "-o", "x", "--device", "cuda:99"], "is not on this machine"),
    "missing weights": (
        [*PAIR, "-o", "x", "--weights", "no.pth"],
        "weights 'no.pth': No such file",
    ),
    "bad weights": ([*PAIR, "-o", "x", "--weights", "text.txt"], "no plain state dict"),
    "missing init": ([*PAIR, "-o", "x", "--init", "no.png"], "'no.png' does not exist"),
    "out is a file": ([*PAIR, "-o", "file"], "'file' is a file; name a folder"),
    "out in a file": ([*PAIR, "-o", "text.txt/x"], "cannot write 'text.txt/x'"),
    "film and picture in one": (
        [*PAIR, "-o", "x.webp", "--record", "x.webp"],
        "cannot be both the picture and the film",
    ),
    "help of no command": (["transfr"], "(see stylelab --help)"),
    "help of the command": ([*PAIR, "-o", "x", "--step-s", "1"], "(see stylelab transfer --help)"),
    "a folder for a picture": (["transfer", "full", "night_cafe", "-o", "x"], "'full' is a folder"),
    "out of another kind": ([*PAIR, "-o", "x.gif"], "unknown image format '.gif'"),
    "out with other things": ([*PAIR, "-o", "full"], "holds no run; name another folder"),
    "states of a picture": ([*PAIR, "-o", "x.png", "--keep-every", "2"], "name a folder as out"),
    "states every -1 steps": ([*PAIR, "-o", "x", "--keep-every", "-1"], "every=-1 should be 1"),
    "branch of nothing": (
        ["branch", "chenonceau", "night_cafe", "full", "--step", "2", "-o", "x"],
        "'full' holds no kept states",
    ),
    "reproduce into a file": (["reproduce", "--out", "text.txt"], "cannot write 'text.txt"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("hello")
    Path("file").write_text("hello")
    Path("full").mkdir()
    Path("full/notes").write_text("mine")
    Image.effect_noise((64, 64), 50).save("whole.png")
    Path("short.png").write_bytes(Path("whole.png").read_bytes()[:900])
    return tmp_path


def contents():
    return {str(p): p.read_bytes() if p.is_file() else None for p in Path().rglob("*")}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_one_line_and_status_2_and_writes_nothing(case, capsys):
    arguments, words = BAD[case]
    before = contents()
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.startswith("stylelab: ")
    assert printed.err.count("\n") == 1
    assert contents() == before


def test_a_complaint_is_the_same_in_a_narrow_terminal_and_in_any_encoding():
    arguments = [*PAIR, "-o", "x", "--pooling", "average" * 20]
    printed = set()
    for settings in ({"PYTHONIOENCODING": "utf-8"}, {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"}):
        run = subprocess.run(
            [sys.executable, "-m", "stylelab", *arguments],
            capture_output=True, text=True, env={**os.environ, **settings},
        )  # fmt: skip
        printed.add(run.stderr)
    (line,) = printed
    assert line.startswith(f"stylelab: invalid choice '{'average' * 20}' for argument '--pooling'")


def test_the_terminals_width_is_as_before(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    with pytest.raises(InputError):
        parse(["frobnicate"])
    assert "COLUMNS" not in os.environ


def test_transfer_writes_a_run_folder(capsys):
    main([*PAIR, "-o", "runs/one", *QUICK, "--style-weight", "1e4"])
    result = Result.load("runs/one")
    assert result.config.style_weight == 10_000
    assert result.config.size == (48, 64)
    assert result.info["content_sha256"] == image_hash(sample("chenonceau"))
    assert capsys.readouterr().out.startswith("runs/one: 2 steps in ")


def test_transfer_writes_a_picture_alone():
    main([*PAIR, "-o", "one.png", *QUICK])
    assert Image.open("one.png").size == (64, 48)
    assert json.loads(Image.open("one.png").text["config"])["steps"] == 2


@pytest.mark.parametrize("size", [["48x64"], ["48", "64"]])
def test_a_size_is_written_with_an_x_or_in_two(size):
    main([*PAIR, "-o", "48x64.png", *QUICK[3:], "--size", *size])
    assert Image.open("48x64.png").size == (64, 48)
    main([*PAIR, "-o", "again.png", *QUICK[3:], "--size=" + "x".join(size)])
    assert Image.open("again.png").size == (64, 48)
    main([*PAIR, "-o", "lr0.1", *QUICK[3:]])
    assert Path("lr0.1/result.json").exists()  # a folder, whatever stands after its dot
    with pytest.raises(SystemExit) as caught:
        main([*PAIR, "-o", "a.png", "--size", "64*96"])
    assert caught.value.code == 2


def test_a_photograph_of_another_format_is_named_with_the_way_out(capsys):
    main([*PAIR, "-o", "wide.png", *QUICK])  # 4:3, as the photograph
    assert "keeps its shape" not in capsys.readouterr().err
    main([*PAIR, "-o", "tall.png", *QUICK[3:], "--size", "96", "64"])
    words = "96x64 shows 50% of 'chenonceau'; --size 96 keeps its shape"
    assert words in capsys.readouterr().err
    main([*PAIR, "-o", "whole.png", *QUICK[3:], "--size", "96"])
    assert "keeps its shape" not in capsys.readouterr().err


def test_a_sample_a_path_and_one_number_for_the_size_are_taken():
    main(
        [
            "transfer",
            str(sample("pont_du_gard")),
            "night_cafe",
            "-o",
            "a.jpg",
            *QUICK[3:],
            "--size",
            "64",
        ]
    )
    assert Image.open("a.jpg").size == (64, 43)


def test_options_change_the_preset():
    call = parse([*PAIR, "-o", "x", "--preset", "gatys", "--steps", "7"])
    config = call.keywords["config"] if hasattr(call, "keywords") else call.args[3]
    assert (config.pooling, config.optimizer, config.steps) == ("avg", "lbfgs", 7)


def test_a_method_takes_options_styles_and_colours():
    options = ["--options", "transform=aams", "strength=0.5", "strokes=0.5,1", "layers=relu3_1,"]
    both = ["transfer", "chenonceau", "night_cafe+harvest_at_la_crau", "-o", "two", *QUICK]
    main([*both, "--method", "inversion", *options, "--blend", "1", "3", "--colours", "luminance"])
    result = Result.load("two")
    assert dict(result.config.options) == {
        "transform": "aams", "strength": 0.5, "strokes": (0.5, 1.0), "layers": ("relu3_1",),
    }  # fmt: skip
    assert result.config.blend == (1, 3)
    assert result.info["style_sha256"].count("+") == 1


def test_samples_and_info_print_tables(capsys):
    main(["samples"])
    assert "Château de Chenonceau" in capsys.readouterr().out
    main(["info"])
    printed = capsys.readouterr().out
    for name in ("stylelab", "torch", "device", "precision", "weights original", "memory"):
        assert any(line.startswith(name) for line in printed.splitlines())


def test_help_does_not_import_torch():
    code = (
        "import sys\nfrom stylelab.cli import main\n"
        "try: main(['transfer', '--help'])\n"
        "except SystemExit as stopped: assert not stopped.code\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for flag in ("--style-weight", "--size", "--preset", "--learning-rate", "default: 1000.0"):
        assert flag in run.stdout


def test_lab_opens_the_notebooks_on_this_machine_only(monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda command: calls.append(command) or 0)
    with pytest.raises(SystemExit):
        main(["lab"])
    (command,) = calls
    assert command[:4] == [sys.executable, "-m", "jupyter", "lab"]
    root = Path(command[4].partition("=")[2])
    assert (root / "01_reproduce_the_paper.ipynb").is_file()
    assert len(command) == 5  # no address, no disabled token


def shell(command, **settings):
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | settings
    return subprocess.run(
        ["bash", "-c", command, sys.executable], capture_output=True, text=True, env=environment
    )


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    done = shell('"$0" -m stylelab samples | true; echo ${PIPESTATUS[0]}')
    assert done.stderr == ""
    assert done.stdout.strip() in ("141", "0")  # 0: it was written before the reader left


def test_what_a_terminal_cannot_show_is_escaped():
    done = shell('"$0" -m stylelab samples', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"Ch\xe2teau de Chenonceau" in done.stdout


def test_closed_streams_hide_what_is_printed_and_stop_nothing(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "import sys\nimport stylelab.cli\nfrom tqdm import tqdm\nstylelab.cli._open_streams()\n"
        "list(tqdm([1, 2]))\nprint('x')\nfile = open(sys.argv[1], 'w')\n"
        "file.write(str(file.fileno() > 2))\n"  # else what is printed would get into the file
    )
    for closed in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        done = shell(f'"$0" {script} {tmp_path}/found {closed}')
        assert done.returncode == 0, closed
        assert (tmp_path / "found").read_text() == "True"


def test_help_in_a_terminal_of_one_column_comes_at_once():
    done = shell('timeout 60 "$0" -m stylelab transfer --help', COLUMNS="1")
    assert done.returncode == 0
    assert "--style-weight" in done.stdout


def test_ctrl_c_while_modules_are_imported_gives_no_traceback(monkeypatch):
    from types import SimpleNamespace

    from stylelab.__main__ import main as script

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "stylelab.cli", SimpleNamespace(main=interrupted))
    with pytest.raises(SystemExit) as stopped:
        script()
    assert stopped.value.code == 130
