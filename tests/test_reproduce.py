import re
from dataclasses import replace

from PIL import Image

from stylelab import PRESETS, Result
from stylelab.applications.reproduce import detail_ratio, reproduce
from stylelab.training.folders import LOCK

QUICK = {"steps": 4, "device": "cpu"}


def test_the_experiment_end_to_end(tmp_path):
    small = replace(PRESETS["paper"], size=(48, 72), **QUICK)
    large = replace(PRESETS["paper-large"], size=(96, 144), **QUICK)
    results = reproduce(tmp_path, small, large, progress=False)
    for name, result in zip(("small", "large"), results, strict=True):
        assert Result.load(tmp_path / name).config == result.config
    # Width to height of the figure: two pictures of 3:2 above two more, all of one size.
    width, height = Image.open(tmp_path / "figure.png").size
    assert 1.2 < width / height < 1.5
    assert Image.open(tmp_path / "figure.png").convert("L").entropy() > 5  # pictures, not white
    page = (tmp_path / "report.html").read_text()
    assert len(re.findall(r'<img src="data:image/webp;base64,\S+" alt="[^"]{20,}"', page)) == 2
    assert not re.search(r'(src|href)="(?!data:)', page)  # it needs no other file
    for words in ("Château de Chenonceau", "1 : 1000 : 10", "48x72", "96x144", "Alf van Beem"):
        assert words in page
    assert f"{detail_ratio(*(r.image for r in results)):.1f} times" in page

    def stamps():  # but of the locks, whose times are filelock's matter
        return {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*") if p.name != LOCK}

    before = stamps()
    reproduce(tmp_path, small, large, progress=False)
    assert stamps() == before


def test_the_larger_image_holds_more_detail(tmp_path):
    small = replace(PRESETS["paper"], size=(48, 72), **QUICK)
    large = replace(PRESETS["paper-large"], size=(96, 144), **QUICK)
    results = reproduce(tmp_path, small, large, progress=False)
    assert detail_ratio(*(r.image for r in results)) > 1.5
