"""A script that cannot write its results says so before its work begins."""

import pytest

from neuronsweep.config.output_paths import check_directory, check_file, check_page
from neuronsweep.errors import UserError


def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "directory.md").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in ("directory.md", "file/page.md", "file/deep/page.md", "nowhere/page.md"):
        with pytest.raises(UserError, match="--output is not allowed: "):
            check_file("--output", tmp_path / path)
    for path in ("file", "file/deep", "nowhere/deep"):
        with pytest.raises(UserError, match="is not a directory"):
            check_directory("--output", tmp_path / path)
    for path in ("page", "file.md", "directory.md"):  # the pictures of file.md would be in file
        with pytest.raises(UserError, match="--output is not allowed: "):
            check_page("--output", tmp_path / path)
    assert check_page("--output", tmp_path / "new" / "page.md") == tmp_path / "new" / "page"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("script", ["reproduce", "gallery"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("page", "the page is a file such as page.md, with its ending"),
        ("made.md", "is a directory, and a file is to be written"),
        ("file/page.md", "is not a directory"),
        ("taken.md", "is not a directory"),
    ],
)
def test_a_page_is_refused_before_anything_is_trained(command, tmp_path, script, name, said):
    (tmp_path / "made.md").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "taken").touch()
    before = sorted(tmp_path.rglob("*"))
    done = command(f"scripts/{script}.py", "--output", name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: --output {name} is not allowed: ")
    assert said in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [["report", "file"], ["collect", "file", "a"], ["collect", "file/all", "a"]])
def test_a_directory_that_is_none_is_refused(command, tmp_path, words):
    (tmp_path / "file").touch()
    done = command(f"scripts/{words[0]}.py", *words[1:])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr


def test_a_report_whose_place_is_taken_is_refused_first(command, tmp_path):
    (tmp_path / "sweep" / "report.html").mkdir(parents=True)
    done = command("scripts/report.py", "sweep")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sweep/report.html is a directory, and a file is to be written" in done.stderr
