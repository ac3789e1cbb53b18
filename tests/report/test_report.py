"""report.md and report.html as text: numbers are those of results.csv, text is text."""

import csv
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from neuronsweep.errors import UserError
from neuronsweep.report.build import PAGE, TEXT, build, write_report
from neuronsweep.report.charts.axes import value_axis
from neuronsweep.report.compare import compare_sweeps, compared, markdown
from neuronsweep.report.data.formatting import in_order, listed, short, thinned
from neuronsweep.report.data.sweep import read
from neuronsweep.report.text.answer import number, sentences
from neuronsweep.report.text.markdown import escaped, fenced
from neuronsweep.runs import contents, lock
from neuronsweep.runs.results import Results
from neuronsweep.runs.run import RUNNING, Run


def table_of(page: str) -> dict:
    found = re.search(r"^const .* table = (\{.*\});$", page, re.M)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_has_the_numbers_of_results_csv(sine):
    page = build(sine).read_text()
    table = table_of(page)
    rows = list(csv.DictReader((sine / contents.RESULTS).read_text().splitlines()))
    assert table["columns"] == list(rows[0])
    assert [[str(value) for value in row] for row in table["rows"]] == [list(row.values()) for row in rows]
    assert all(source.startswith("data:") for source in re.findall(r'<\w[^>]* src="([^"]*)', page))
    patch = r"<summary>Uncommitted changes</summary>.*?</details>"
    assert len(re.sub(patch, "", page, flags=re.DOTALL)) < 2.3e6


def test_the_same_sweep_has_the_same_text(sine):
    build(sine)
    before = {path.name: path.read_bytes() for path in sine.glob("report*")}
    build(sine)
    assert {path.name: path.read_bytes() for path in sine.glob("report*")} == before
    assert {"report.html", "report.md", "report-fits.svg", "report-metric.svg"} == set(before)


def test_a_report_does_not_depend_on_where_it_was_built(sine, tmp_path, monkeypatch):
    build(sine)
    before = {path.name: path.read_bytes() for path in sine.glob("report*")}
    moved = shutil.copytree(sine, tmp_path / sine.name)
    monkeypatch.chdir(moved)
    build(Path())
    assert {path.name: path.read_bytes() for path in moved.glob("report*")} == before


def test_the_answer_names_the_best_and_what_seeds_cannot_tell(sine):
    first, *then = sentences(read(sine))
    assert first.startswith("On the sine, model.hidden=8 model.act=")
    assert "is best of 4 configurations (model.hidden 2, 8; model.act relu, tanh): val/loss" in first
    assert "95% interval" in first
    assert any("separable" in sentence for sentence in then)


def test_failures_and_damage_are_told_and_markup_is_text(harmed):
    page = build(harmed).read_text()
    assert "&lt;script&gt;document.title" in page
    assert "<script>document.title" not in page
    assert "<img src=x" not in page
    assert "<b>bold" not in page
    assert "2 COMPLETE, 1 DAMAGED, 3 FAILED" in " ".join(sentences(read(harmed)))
    text = (harmed / TEXT).read_text()
    assert "<script>" not in text
    assert "0001" in text
    assert "metrics.json is damaged" in text
    assert str(harmed / "0001") not in text
    assert "without that of damaged runs (1), which is lost" in text
    states = [row[1] for row in table_of(page)["rows"]]
    assert states == ["COMPLETE", "DAMAGED", "COMPLETE", "FAILED", "FAILED", "FAILED"]


def test_a_running_sweep_and_one_without_results_have_a_report(sine, tmp_path):
    copy = shutil.copytree(sine, tmp_path / "running")
    for run in range(4, 12):
        Run(copy / f"{run:04d}").discard()
    Run(copy / "0003").update(state=RUNNING)
    assert "Of 12 runs 3 COMPLETE, 1 interrupted, 8 missing or not begun." in build(copy).read_text()
    lock.take(copy)
    assert "Of 12 runs 3 COMPLETE, 1 RUNNING, 8 missing or not begun." in build(copy).read_text()
    for run in range(4):
        Run(copy / f"{run:04d}").discard()
    assert "No run is complete yet: 12 missing or not begun." in build(copy).read_text()
    assert "scripts/replay.py" not in (copy / TEXT).read_text()


def test_two_sweeps_are_compared(sine, swept):
    words = ("model.hidden=2,8", "model.act=relu,tanh", "seed=range(3)", "epochs=100", "log_points=10")
    other = swept("other", *words, "diagnostics=true")
    page, text = (path.read_text() for path in compare_sweeps(sine, other))
    assert "| epochs | 200 | 100 |" in text
    assert "<tr><td>epochs</td><td>200</td><td>100</td></tr>" in page
    theirs = {tuple(c.values.items()): c for c in read(other).configurations}
    for mine in read(sine).configurations:
        found = mine.summary, theirs[tuple(mine.values.items())].summary
        cells = [mine.name, *(f"{number(s.mean)} ({number(s.low)} to {number(s.high)}, 3 seeds)" for s in found)]
        assert "".join(f"<td>{cell}</td>" for cell in cells) in page
        assert f"| {' | '.join(cells).replace('_', chr(92) + '_')} |" in text
    galleries = [sweep for sweep in (sine, other) if (sweep / "report-fits.svg").exists()]
    assert page.count('src="data:image/svg+xml') == len(galleries)
    same = markdown(compared(read(sine), read(sine)))
    assert "Command, config, code, data and versions are the same" in same


def test_configurations_are_the_same_whether_a_key_is_swept_or_fixed(sine, swept):
    words = ("model.act=relu", "data.noise=.1,.2", "seed=range(3)", "epochs=200", "log_points=10", "diagnostics=true")
    other = read(swept("fixed", "model.hidden=8", *words))
    found = compared(read(sine), other)
    assert [cells[0] for cells in found.results] == ["model.hidden=8 model.act=relu data.noise=0.1"]
    assert found.results[0][-1] == "same"
    assert list(other.by_data) == ["sine with data.noise=0.1", "sine with data.noise=0.2"]


def test_a_comparison_shows_markup_as_text(sine, harmed):
    page, text = (path.read_text() for path in compare_sweeps(harmed, sine))
    assert "<img src=x" not in page + text
    assert "&lt;img src=x" in page
    assert "They have no configuration in common that was trained on the same data." in page


def test_what_is_no_sweep_is_refused(tmp_path, command, sine):
    with pytest.raises(UserError, match="is not a sweep directory"):
        read(tmp_path)
    done = command("scripts/report.py", "nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = command("scripts/report.py", str(sine))
    assert done.stdout.strip() == str(sine / PAGE)


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"swept": [], "objective": {}, "overrides": [], "command": ""}'])
def test_a_damaged_description_is_named(tmp_path, text):
    (tmp_path / contents.SWEEP).write_text(text)
    with pytest.raises(UserError, match=r"sweep.json is damaged"):
        build(tmp_path)


def test_a_sweep_ends_with_its_report(command, tmp_path):
    done = command("train.py", "-m", "seed=0,1", "epochs=5", "logger=none", "hydra.sweep.dir=sweep", report=True)
    assert done.stdout.splitlines()[-1] == "report: sweep/report.html"
    assert (tmp_path / "sweep" / PAGE).exists()


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_is_named(sine, package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "neuronsweep.report.page", raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    write_report(Results(sine))
    told = f"no report was written: a report needs the package {package}, which is not installed here: make env\n"
    assert capsys.readouterr().err == told


def test_text_is_text_in_markdown():
    assert escaped("a_b ~~c~~ $x$ &lt; <b> #1 | `d`") == (r"a\_b \~\~c\~\~ \$x\$ &amp;lt; &lt;b&gt; \#1 \| \`d\`")
    assert fenced("a\n```\nb") == "````\na\n```\nb\n````"


def test_values_are_few_short_and_labelled():
    assert listed(["2", "8", "2"]) == "2, 8"
    assert listed([str(i / 7) for i in range(20)]) == "0.0 to 2.714"
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f, g and 3 more"
    assert [short(value) for value in ("0.0001", "0.04926932508357475", "123456789", "relu.8901")] == [
        "0.0001",
        "0.04927",
        "123456789",
        "relu.8901",
    ]
    assert thinned(range(5000), 2000) == range(0, 5000, 3)
    assert list(thinned([1, 2], 2)) == [1, 2]
    assert value_axis("loss", [0.0106, 0.0796])["ticktext"] == ["0.01", "0.02", "0.05", "0.1"]
    assert value_axis("loss", [0.001, 50])["dtick"] == 1
    assert value_axis("loss", [1, 4])["type"] == value_axis("r2", [-1, 100])["type"] == "linear"


def test_values_stand_in_the_order_of_their_numbers():
    assert in_order(["32", "2", "8", "2"]) == ["2", "8", "32"]
    assert in_order(["tanh", "relu", "tanh"]) == ["tanh", "relu"]
