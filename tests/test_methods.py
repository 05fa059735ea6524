"""What must be true of every method, whoever wrote it."""

import ast
import importlib
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from stylelab import (
    Config,
    InputError,
    Transfer,
    load_image,
    methods,
    sample,
    standardize,
    stylize,
)
from stylelab.config import LOSS_WEIGHTS
from stylelab.layers import LAYERS
from stylelab.registry import METHODS, load_method

ROOT = Path(__file__).parent.parent

every_method = pytest.mark.parametrize("name", METHODS)


def source(name):
    return Path(load_method(name).__file__).read_text("utf-8")


@pytest.fixture
def config(small, name):
    return replace(small, method=name)


@every_method
def test_its_file_is_short_and_imports_no_other_method(name):
    text = source(name)
    assert len(text.splitlines()) < 200
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("stylelab.methods"), node.module
            assert node.level == 0
            assert not (node.module == "stylelab" and "methods" in [a.name for a in node.names])


@every_method
def test_it_and_its_options_are_documented(name):
    assert load_method(name).__doc__
    tree = ast.parse(source(name))
    (options,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Options"]
    for setting, words in zip(options.body, [*options.body[1:], None], strict=True):
        if isinstance(setting, ast.AnnAssign):
            assert isinstance(words, ast.Expr), setting.target.id
            assert isinstance(words.value.value, str), setting.target.id


@every_method
def test_its_options_are_checked_and_have_defaults(name):
    usual = Config(method=name).method_options
    given = {field.name: getattr(usual, field.name) for field in fields(usual)}
    assert Config(method=name, options=given).method_options == usual
    assert hash(Config(method=name, options=given)) is not None
    with pytest.raises(InputError, match=f"'{name}'.*(no options|unknown setting 'nope')"):
        Config(method=name, options={"nope": 1})


@every_method
def test_its_layers_are_those_of_the_network(name, config):
    found = load_method(name).layers(config)
    assert found
    assert set(found) <= set(LAYERS)


@every_method
def test_its_terms_are_finite_scalars_whose_groups_have_weights(name, config, content, style):
    transfer = Transfer(content, style, config)
    terms = transfer.objective(transfer.variable)
    for term, value in terms.items():
        assert re.fullmatch(r"[a-z]+(/[\w/]+)?", term)
        assert value.shape == (), term
        assert value.dtype == torch.float32, term
        assert value.isfinite(), term
    groups = {term.split("/")[0] for term in terms}
    assert groups == set(load_method(name).loss_weights(config))
    assert groups & {"content", "style"}


@every_method
def test_loss_weights_mean_the_same_with_each_method(name, config):
    """They scale their groups, and nothing else."""
    weights = load_method(name).loss_weights
    for setting in LOSS_WEIGHTS:
        doubled = weights(replace(config, **{setting: 2 * getattr(config, setting)}))
        expected = {
            group: value * (2 if setting.startswith(group) else 1)
            for group, value in weights(config).items()
        }
        assert doubled == pytest.approx(expected)


@every_method
def test_gradients_reach_the_image(name, config, content, style):
    transfer = Transfer(content, style, replace(config, init="noise"))
    transfer.total(transfer.objective(transfer.variable)).backward()
    gradient = transfer.variable.grad
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.99


@every_method
def test_the_total_falls(name, config, content, style):
    totals = stylize(content, style, replace(config, steps=12), progress=False).history["total"]
    assert totals.iloc[-1] < 0.95 * totals.iloc[:2].max()


@every_method
@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16", "memory": "low"}], ids=str)
def test_the_same_settings_give_the_same_bytes(name, config, content, style, changes):
    config = replace(config, size=(32, 48), steps=2, **changes)
    first, second = (Transfer(content, style.clone(), config) for _ in range(2))
    for transfer in (first, second):
        list(transfer)
    assert torch.equal(first.variable, second.variable)
    assert first.variable.isfinite().all()


@every_method
def test_shares_of_one_style_are_that_style(name, config, content, style):
    other = load_image(sample("night_cafe"), (40, 56))  # of another size than the content
    transfer = Transfer(content, style, config)
    a, b, image = (standardize(x) for x in (style, other, content * 0.8))
    base = standardize(content)

    def terms(styles):
        objective = load_method(name).objective(styles, transfer.model, config)(base)
        with torch.no_grad():
            return {term: float(value) for term, value in objective(image).items()}

    assert terms([(a, 0.25), (a, 0.75)]) == pytest.approx(terms([(a, 1.0)]), rel=1e-3, abs=1e-8)
    mixed = terms([(a, 0.5), (b, 0.5)])
    assert mixed != terms([(a, 1.0)])
    assert all(value == value for value in mixed.values())


@every_method
def test_it_makes_no_difference_to_a_run_whether_it_was_asked_before(name, config, content, style):
    """Terms depend on the image alone: looking at the losses changes nothing."""
    transfer = Transfer(content, style, config)
    first = transfer.evaluate(content)
    transfer.evaluate(style)
    assert transfer.evaluate(content) == first


def test_every_file_is_registered():
    files = {path.stem for path in (ROOT / "stylelab" / "methods").glob("*.py")} - {"__init__"}
    assert files == set(METHODS)


def test_an_unknown_method_is_named_with_those_that_are_known(content, style, small):
    for act in (
        lambda: Config(method="gaty"),
        lambda: load_method("gaty"),
        lambda: stylize(content, style, small, method="gaty"),
    ):
        with pytest.raises(ValueError, match=r"unknown method 'gaty'.*did you mean 'gatys'"):
            act()


def test_the_walk_through_of_contributing_works(tmp_path, monkeypatch, content, style, small):
    """The very text: its file, its line and its test; and a method without touching the kit."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    name = re.search(r"`stylelab/methods/(\w+)\.py`:\n\n```python", text)[1]
    code, test, own = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / f"{name}.py").write_text(code, "utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.setattr(METHODS, "shipped", (*METHODS.shipped, name))
    try:
        config = replace(small, steps=2, options={"style_layers": ["relu2_1"]}, method=name)
        history = stylize(content, style, config, progress=False).history
        assert list(history.columns[3:]) == ["tv", "content/relu4_4", "style/relu2_1"]
        assert history["style/relu2_1"].iloc[1] < history["style/relu2_1"].iloc[0]
        scope = {}
        exec(test, scope)
        checks = [value for key, value in scope.items() if key.startswith("test_")]
        assert checks
        for check in checks:
            check()
        (tmp_path / "own.py").write_text(own, "utf-8")
        METHODS.load_file(tmp_path / "own.py")
        config = replace(small, steps=2, method=list(METHODS)[-1])
        assert len(stylize(content, style, config, progress=False).history) == 2
    finally:
        METHODS.own.clear()
        METHODS.sources.clear()
        sys.modules.pop(f"stylelab.methods.{name}", None)
        methods.__dict__.pop(name, None)
        importlib.invalidate_caches()


ONE_PICTURE = ("photo", "repair")


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ONE_PICTURE])
def test_the_terms_of_a_batch_are_the_means_of_its_singles(name, config, content, style):
    model = Transfer(content, style, config).model
    objective = load_method(name).objective([(standardize(style), 1.0)], model, config)
    contents = [standardize(x) for x in (content, content.flip(3))]
    images = [standardize(x) for x in (content * 0.8, style)]
    with torch.no_grad():
        batch = objective(torch.cat(contents))(torch.cat(images))
        singles = [objective(c)(x) for c, x in zip(contents, images, strict=True)]
    for term, value in batch.items():
        mean = (singles[0][term] + singles[1][term]) / 2
        assert float(value) == pytest.approx(float(mean), rel=1e-3, abs=1e-7), term


@pytest.mark.parametrize("name", ONE_PICTURE)
def test_what_belongs_to_one_picture_refuses_a_batch_in_words(name, config, content, style):
    model = Transfer(content, style, config).model
    objective = load_method(name).objective([(standardize(style), 1.0)], model, config)
    with pytest.raises(InputError, match=f"'{name}' takes one picture at a time, not a batch of 2"):
        objective(standardize(torch.cat([content, content])))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ONE_PICTURE])
def test_the_styles_are_read_once_whatever_the_contents(name, config, content, style):
    model = Transfer(content, style, config).model
    reads = []
    read = type(model).forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "forward", lambda m, x: reads.append(1) or read(m, x))
        objective = load_method(name).objective([(standardize(style), 1.0)], model, config)
        assert len(reads) == 1
        for x in (content, style):
            objective(standardize(x))
    assert len(reads) == 3
