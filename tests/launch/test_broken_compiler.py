"""A compiler that is there and compiles nothing: no run of a sweep FAILs for it."""

import os
import subprocess
import sys

from tests.commands import NO_REPORT, ROOT

NO_BUILDS = """
from neuronsweep.engine import build, library
library.directories = lambda: []
build.compilers = lambda: [["false"]]
"""


def test_where_compiling_fails_lightning_trains_and_says_why(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_BUILDS)
    words = ("-m", NO_REPORT, "data=line", "epochs=5", "seed=0,1")
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is trained by Lightning: false: made nothing") == 2
    assert "Traceback" not in done.stdout + done.stderr
