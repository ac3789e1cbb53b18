"""The page in a real Chromium: it opens alone, sorts, filters, hovers and shows text as text.

Pictures for people to look at are written to $SCREENSHOTS where that is set.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from neuronsweep.report.build import build
from neuronsweep.runs import contents

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
)

HERE = Path(__file__).parent
WATCH, USE = (f"<script>{(HERE / name).read_text()}</script>" for name in ("watch.js", "use.js"))


def chromium(tmp_path: Path, *words: str) -> str:
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def used(page: Path, tmp_path: Path) -> dict:
    """What happened when the page was used."""
    copy = tmp_path / "page.html"
    text = page.read_text()
    copy.write_text(text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", USE + "</body>"))
    dom = chromium(tmp_path, "--window-size=1200,1600", "--dump-dom", copy.as_uri())
    found = re.search(r'<pre id="log">(.*?)</pre>', dom, re.S)
    assert found, dom[-2000:]
    return json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_the_page_works_alone(sine, tmp_path):
    log = used(build(sine), tmp_path)
    assert log["wrong"] == []
    assert log["requests"] == []
    values = [float(value) for value in log["up"]]
    assert values == sorted(values)
    assert log["down"] == log["up"][::-1]
    assert len(log["up"]) == 12
    assert log["filtered"] == ["relu"] * 6
    train = log["commands"].splitlines()[0].split()
    assert train[:2] == ["python", "train.py"]
    assert {"epochs=200", "log_points=10", "diagnostics=True", "logger=none", "model.act=relu"} <= set(train)
    assert "python scripts/replay.py" in log["commands"]
    assert log["plots"] >= 9
    assert "model.hidden=8" in log["hover"]
    assert log["chosen"] == [log["clicked"]]
    assert f"{int(log['clicked']):04d}" in log["shown"]
    assert 500 < log["paper"] < 680
    assert log["images"]
    assert len(log["panels"]) == 4
    assert all("val/loss" in label for label in log["panels"])
    assert log["width"] <= log["window"]


def test_markup_in_names_values_and_errors_is_text(harmed, tmp_path):
    marked = shutil.copytree(harmed, tmp_path / harmed.name)
    description = (marked / contents.SWEEP).read_text()
    (marked / contents.SWEEP).write_text(description.replace("optimizer.lr=0.1", "optimizer.lr=<b>0.1</b>"))
    odd = tmp_path / "it's here"
    odd.mkdir()
    log = used(build(marked), odd)
    assert log["wrong"] == []
    assert log["title"] == "harmed <img src=x onerror=alert(1)>: val/loss"
    assert "optimizer.lr=<b>0.1</b>" in log["hover"]
    assert shlex.join(["python", "scripts/replay.py", str(odd / "0001")]) in log["commands"].splitlines()


@pytest.mark.parametrize(
    ("name", "width", "dark"), [("light", 1200, False), ("dark", 1200, True), ("phone", 390, False)]
)
def test_pictures_for_people_to_look_at(sine, tmp_path, name, width, dark):
    directory = Path(os.environ.get("SCREENSHOTS", tmp_path)).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    frame = tmp_path / "frame.html"  # because a window is never narrower than 500 pixels
    frame.write_text(
        f'<body style="margin:0"><iframe src="{build(sine).as_uri()}" style="border:0;width:{width}px;height:1600px">'
    )
    colours = ["--blink-settings=preferredColorScheme=0"] if dark else []
    size = f"--window-size={max(width, 500)},1600"
    chromium(tmp_path, size, f"--screenshot={directory / f'report-{name}.png'}", *colours, frame.as_uri())
    assert (directory / f"report-{name}.png").stat().st_size > 50_000
