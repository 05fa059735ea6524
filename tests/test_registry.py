"""Methods of one's own: registered from a cell or a file, and part of a run's identity."""

import linecache
import re
import sys
from dataclasses import replace
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

from stylelab import METHODS, Config, InputError, Run, register, stylize
from stylelab.cli import main
from stylelab.registry import Registry

CELL = '''\
from stylelab import register, total_variation
from stylelab.config import checked
from stylelab.objectives import read_layers

class warmth:
    """The mean of each channel is the style."""
    @checked
    class Options:
        """None."""
    def layers(config):
        return config.style_layers
    def loss_weights(config):
        return {"style": config.style_weight, "tv": config.tv_weight}
    def objective(styles, model, config):
        wanted = {n: f.mean((2, 3)) for n, f in read_layers(model, styles[0][0], LAYERS).items()}
        def terms(x):
            maps = model(x)
            gaps = [(maps[n].mean((2, 3)) - m).square().mean() for n, m in wanted.items()]
            return {"style": sum(gaps).float(), "tv": total_variation(x)}
        return lambda content: terms
LAYERS = ("relu1_1", "relu2_1")
register("warmth", warmth)
'''
SETTINGS = (
    'Config(size=(32, 48), steps=3, style_layers=LAYERS, method="warmth", device="cpu", '
    'precision="float32")'
)


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is gone after it."""
    yield
    METHODS.own.clear()
    METHODS.sources.clear()


def run_cell(text, name="<cell 1>", scope=None):
    """Run a notebook's cell here, with its source where IPython keeps it."""
    linecache.cache[name] = len(text), None, text.splitlines(True), name
    scope = {"__name__": "__main__"} if scope is None else scope
    exec(compile(text, name, "exec"), scope)
    return scope


def test_a_cell_of_a_notebook_adds_a_method_to_runs_sweeps_with_workers_and_the_lab(tmp_path):
    assert len([line for line in CELL.splitlines() if line.strip()]) <= 23
    cells = [
        CELL,
        "from stylelab import Config, LiveLab, sample, stylize, sweep\n"
        f"config = {SETTINGS}\n"
        'result = stylize(sample("chenonceau"), sample("night_cafe"), config, progress=False)\n'
        "print(list(result.history.columns[2:]))",
        'done = sweep("chenonceau", "night_cafe", {"style_weight": [1, 1000]}, config, "runs", '
        "workers=2, threads=1, progress=False)\n"
        'print(sorted(done.table["status"]), sorted(done.table["error"].dropna()))\n'
        'print(done.table["last/total"].iloc[1] == result.history["total"].iloc[-1])',
        'lab = LiveLab("chenonceau", "night_cafe", config)\n'
        "lab.run()\nlab.join(60)\nprint(lab.state, lab.error, len(lab.history))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, resources=resources).execute()
    printed = ["".join(o.get("text", "") for o in cell.outputs) for cell in notebook.cells]
    assert "['total', 'style', 'tv']\n" in printed[1]
    assert "['complete', 'complete'] []\nTrue\n" in printed[2]
    assert "ended None 3\n" in printed[3]


def test_it_is_chosen_like_the_shipped_ones_and_may_be_replaced():
    scope = run_cell(CELL)
    assert list(METHODS)[-1] == "warmth"
    assert "warmth" in METHODS
    assert METHODS.load("warmth") is scope["warmth"]
    assert Config(method="warmth").method_options == scope["warmth"].Options()
    changed = CELL.replace(".square()", ".abs()")
    first = METHODS.source_hash("warmth")
    run_cell(changed, "<cell 2>")
    assert METHODS.source_hash("warmth") != first
    with pytest.raises(InputError, match=r"unknown method 'warmht'.*did you mean 'warmth'"):
        Config(method="warmht")


def test_its_source_is_part_of_a_runs_identity(tmp_path):
    settings = "from stylelab import Config\nCONFIG = " + SETTINGS
    config = run_cell(CELL + settings)["CONFIG"]
    run = Run("chenonceau", "night_cafe", config)
    key, usual = run.key, Run("chenonceau", "night_cafe", replace(config, method="gatys")).key
    run_cell(CELL + "unrelated = 1  # and a comment\n" + settings, "<cell 2>")
    assert run.key == key, "statements that the method does not need"
    run_cell(CELL.replace(".square()", ".abs()") + settings, "<cell 3>")
    assert run.key != key
    assert Run("chenonceau", "night_cafe", replace(config, method="gatys")).key == usual


def test_a_changed_method_is_not_taken_for_the_one_that_ran(content, style, tmp_path):
    scope = run_cell(CELL + "from stylelab import Config\nCONFIG = " + SETTINGS)
    run = stylize(content, style, scope["CONFIG"], tmp_path / "run", progress=False)
    assert run.info["method_sha256"] == METHODS.source_hash("warmth")
    run_cell(CELL.replace(".square()", ".abs()"), "<cell 2>")
    with pytest.raises(InputError, match="holds another run"):
        stylize(content, style, scope["CONFIG"], tmp_path / "run", progress=False)
    METHODS.own.clear()
    with pytest.raises(InputError, match="is of method 'warmth'; register it first"):
        stylize(content, style, replace(run.config, method="gatys"), tmp_path / "run")


def test_imports_of_other_cells_are_found_and_their_values_asked_for():
    imports, rest = CELL.split("\n\n", 1)
    scope = run_cell(imports + "\nimport torch as pytorch\nhelp = 3\n")
    run_cell(rest.replace("total_variation(x)", "pytorch.relu(total_variation(x))"), "<2>", scope)
    source = METHODS.sources["warmth"]
    assert "import torch as pytorch\n" in source
    assert "from stylelab.config import checked as checked\n" in source
    METHODS.own.clear()
    METHODS.sources.clear()
    METHODS.install({"warmth": source})
    assert METHODS.sources["warmth"] == source
    with pytest.raises(InputError, match="it uses 'SIZE', which another cell defines; put it into"):
        run_cell(
            rest.replace("total_variation(x)", "total_variation(x) * SIZE"),
            "<3>",
            {**scope, "SIZE": 3},
        )


def test_only_what_the_method_needs_is_run_in_a_worker():
    run_cell("import sys\nran = sys.modules.setdefault('spy', [])\nran.append(1)\n" + CELL)
    source = METHODS.sources.pop("warmth")
    del METHODS.own["warmth"]
    METHODS.install({"warmth": source})
    assert sys.modules.pop("spy") == [1]
    assert "register" not in source.split("\n", 1)[1]
    assert "warmth" in METHODS


def test_what_lacks_something_or_takes_a_shipped_name_is_refused():
    scope = run_cell(CELL)
    module = scope["warmth"]
    faults = {
        "comes with the kit; choose another name": ("gatys", module),
        "use letters, digits and _": ("my method", module),
        "lacks objective; it must define Options, layers, loss_weights, objective": (
            "half", type("half", (), {n: None for n in ("Options", "layers", "loss_weights")}),
        ),
        "its source cannot be read": (
            "none", type("none", (), {n: None for n in METHODS.needs}),
        ),
    }  # fmt: skip
    for words, (name, given) in faults.items():
        with pytest.raises(InputError, match=re.escape(words)) as error:
            register(name, given)
        assert "\n" not in str(error.value)
    assert list(METHODS.own) == ["warmth"]


def test_a_module_is_registered_as_it_is(tmp_path, monkeypatch):
    body = CELL.split('the style."""\n')[1].split("LAYERS =")[0]
    text = CELL.split("class warmth")[0] + 'LAYERS = ("relu1_1",)\n'
    text += "\n".join(line.removeprefix("    ") for line in body.splitlines()) + "\n"
    (tmp_path / "warm.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    import warm

    register("warm", warm)
    assert METHODS.load("warm") is warm
    METHODS.own.clear()
    source = METHODS.sources.pop("warm")
    METHODS.install({"warm": source})
    assert isinstance(METHODS.load("warm"), ModuleType)
    sys.modules.pop("warm")


@pytest.mark.parametrize("registers", [True, False])
def test_the_command_line_takes_a_file_with_a_method(tmp_path, capsys, registers):
    file = tmp_path / "warmth.py"
    text = (
        CELL
        if registers
        else CELL.rsplit("register(", 1)[0]
        + "\n".join(f"{name} = warmth.{name}" for name in METHODS.needs)
    )
    file.write_text(text)
    out, own = str(tmp_path / "run"), ["--plugin", str(file), "--method", "warmth"]
    settings = ["--size", "32", "48", "--steps", "2", "--style-layers", "relu1_1", "relu2_1"]
    main(["transfer", "chenonceau", "night_cafe", "-o", out, *settings, *own])
    assert "2 steps" in capsys.readouterr().out
    grid = tmp_path / "own.toml"
    grid.write_text(
        'content = "chenonceau"\nstyle = "night_cafe"\n[base]\nsize = [32, 48]\nsteps = 2\n'
        'style_layers = ["relu1_1", "relu2_1"]\n[axes]\nmethod = ["warmth", "gatys"]\n'
    )
    main(["sweep", str(grid), "-o", str(tmp_path / "runs"), *own[:2]])
    assert "'complete': 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory; name a Python file"),
        ("import nothing_like_this", "fails (ModuleNotFoundError: No module named"),
        ("x = 1", "method 'own' lacks Options"),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(tmp_path, capsys, text, words):
    file = tmp_path / "own.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["transfer", "chenonceau", "night_cafe", "-o", "x", "--plugin", str(file)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_another_registry_has_names_of_its_own():
    own = Registry("toy", "stylelab.methods", ("gatys",), ("layers",))
    assert (list(own), len(own), repr(own)) == (["gatys"], 1, "('gatys',)")
    with pytest.raises(ValueError, match="unknown toy 'repair'; choose from gatys"):
        own.check("repair")
