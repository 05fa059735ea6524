"""What must hold of the repository as a whole."""

import ast
import importlib
import re
import sys
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import stylelab
from stylelab import samples
from stylelab.moved import MOVED

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "stylelab"
FILES = sorted(PACKAGE.rglob("*.py"))

# A file may import only from its own wing and from those before it: a wing is a folder, or a file
# beside the folders.
WINGS = [
    "errors", "sources", "registry", "layers", "config", "presets", "files", "decoding",
    "images", "sample_pictures", "checkpoints", "recipes",
    "device", "losses", "vgg", "maths", "objectives", "controls", "methods", "metrics",
    "perceptual", "plots", "video", "networks", "gans", "training", "sweeps", "course",
    "widgets", "applications", "exercises", "cli_branches", "cli_networks", "cli_place",
    "cli_runs", "cli",
    "moved", "__init__", "__main__",
]  # fmt: skip


def imports(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def own_imports(path):
    """Those of the package itself, as paths below it: ["vgg", "network"]."""
    names = [name.split(".")[1:] for name in imports(path) if name.split(".")[0] == "stylelab"]
    return [name for name in names if name]


def wing(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_upwards_only(path):
    for name in own_imports(path):
        assert WINGS.index(name[0]) <= WINGS.index(wing(path)), (path.name, name)


def test_no_file_imports_itself_by_way_of_others():
    graph = {}
    for path in FILES:
        place = path.relative_to(PACKAGE).with_suffix("").parts
        graph[place] = [tuple(name) for name in own_imports(path)]
    TopologicalSorter(graph).prepare()  # which raises for a cycle


# Parts of several networks or GANs, and of the game of faces.
SHARED = (
    "blocks",
    "decoders",
    "nets",
    "discriminators",
    "cycles",
    "autoencoder",
    "features",
    "heredity",
)


@pytest.mark.parametrize("folder", ["methods", "networks", "gans"])
def test_methods_and_networks_import_neither_each_other_nor_the_loop(folder):
    for path in (PACKAGE / folder).glob("*.py"):
        for name in own_imports(path):
            shared = name in [[folder, part] for part in SHARED] or (
                path.name == "loading.py" and name[0] == folder
            )
            assert name[0] not in (folder, "training") or shared, (path.name, name)


def test_the_package_stays_readable_in_an_evening():
    # The core is what one run of the standard method needs; all else is read by itself.
    core = {"errors", "registry", "config", "presets", "files", "decoding", "images", "device"}
    core |= {"checkpoints", "sample_pictures", "losses", "objectives", "vgg", "training"}
    names = ("trainer", "trained", "crops", "sets", "painting", "style_fit", "rings")  # of networks
    names += ("pyramid", "gauge")  # what the standard method does without
    # How a run's folder outlives faults, what it keeps and films, which no step depends on.
    names += ("folders", "branches", "recording")
    beside = {PACKAGE / "training" / f"{name}.py" for name in names}
    beside.add(PACKAGE / "vgg" / "backbones.py")
    paths = [p for p in FILES if wing(p) in core and p not in beside]
    paths += [PACKAGE / "methods" / "gatys.py", PACKAGE / "maths" / "colours.py"]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    assert len([x for x in lines if x.strip() and not re.match("(from|import) ", x)]) < 2450
    assert max(len(path.read_text().splitlines()) for path in FILES) <= 300
    assert max(len(path.read_text().splitlines()) for path in PACKAGE.glob("methods/*.py")) < 200


NAMES_OF_0_1 = {  # a name of each module that notebooks of that version imported from it
    "films": ("play", "warp"), "grids": ("summary", "find"), "matting": ("matting_loss",),
    "methods": ("METHODS", "load_method"), "model": ("VGG19", "load_weights"),
    "optimizers": ("PyramidAdam", "learning_rate"), "regions": ("masks_of_polygons",),
    "reproduce": ("compare_figure",), "restoration": ("fill_smoothly",), "result": ("Result",),
    "style_network": ("StyleNetwork", "fit_style"), "sweeps": ("run_all",),
    "training": ("Transfer", "stylize", "Diverged"), "transforms": ("adain", "match", "attention"),
}  # fmt: skip


def test_module_names_of_version_0_1_go_on_working():
    for module, names in NAMES_OF_0_1.items():
        found = importlib.import_module(f"stylelab.{module}")
        for name in names:
            assert callable(getattr(found, name)) or name == "METHODS", (module, name)
    for module in MOVED:
        found = importlib.import_module(f"stylelab.{module}")
        with pytest.raises(AttributeError, match=f"'stylelab.{module}' has no attribute 'nope'"):
            _ = found.nope
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("stylelab.nope")


def test_the_version_is_that_of_the_project(project):
    assert stylelab.__version__ == project["version"]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def bounds(requirement):
    name, bound = re.fullmatch(
        r"([A-Za-z0-9_-]+)\s*(.*)", requirement.split("#")[0].strip()
    ).groups()
    return {"pytorch": "torch", "matplotlib-base": "matplotlib"}.get(name, name), bound


def test_conda_and_pip_ask_for_the_same(project):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (by_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    found = dict(bounds(entry) for entry in plain + by_pip if entry not in ("pip", "-e .[styles]"))
    assert found.pop("python") == project["requires-python"]
    assert found == dict(bounds(entry) for entry in project["dependencies"])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="that Python finds few packages' names")
def test_every_package_that_is_imported_is_declared(project):
    extras = project["optional-dependencies"]
    optional = [entry for name in ("dask", "styles", "votes", "metrics") for entry in extras[name]]
    declared = {bounds(entry)[0].lower() for entry in project["dependencies"] + optional}
    providers = packages_distributions()
    for path in FILES:
        for name in {name.split(".")[0] for name in imports(path)}:
            if name in sys.stdlib_module_names or name == "stylelab":
                continue
            names = {provider.lower().replace("_", "-") for provider in providers[name]}
            assert names & declared, f"{path.name} imports {name}"


def test_every_dependency_has_its_line_in_the_decisions(project):
    text = (ROOT / "docs" / "decisions.md").read_text()
    everything = project["dependencies"] + [
        entry for extra in project["optional-dependencies"].values() for entry in extra
    ]
    for entry in everything:
        assert f"`{bounds(entry)[0]}`" in text, entry


def test_the_readme_credits_every_picture():
    text = (ROOT / "README.md").read_text()
    for _, row in samples().iterrows():
        for words in (row["title"], row["author"], row["licence"]):
            assert words in text


def test_the_readme_names_files_that_exist_and_commands_that_make_knows():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"make ([a-z-]+)", text):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


def test_nothing_tells_of_one_machine():
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("notebooks/**/*.ipynb"),
        *FILES,
    ]:
        assert not re.search(r"/(root|home|tmp|Users)/\w", path.read_text()), path


def test_the_citation_has_the_packages_version_and_names_the_paper(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert citation["version"] == project["version"]
    titles = [reference["title"] for reference in citation["references"]]
    assert "CNN-Based Image Style Transfer and Its Applications" in titles


def test_public_hosts_test_the_python_versions_that_are_declared(project):
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    versions = jobs["linux"]["strategy"]["matrix"]["python"]
    said = [entry.rpartition(" ")[2] for entry in project["classifiers"] if "Python :: 3." in entry]
    assert versions == said
    assert project["requires-python"] == f">={versions[0]}"
    assert jobs["lowest"]["steps"][1]["with"]["python-version"] == versions[0]


def test_each_lower_bound_stands_on_a_line_of_its_own(project):
    text = (ROOT / "pyproject.toml").read_text()  # `make lowest` reads them line by line
    for entry in project["dependencies"] + project["optional-dependencies"]["test"]:
        assert ">=" not in entry or f'\n    "{entry}"' in text, entry
