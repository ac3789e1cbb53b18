# One command per habit; every target makes the environment first when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: env sweep reproduce gallery test check format bench soak clean

env: .venv/.made

.venv/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(PIP) --editable '.[dev]'
# the native engine; where no compiler makes it, that of the ziglang wheel; where no network brings that, without it
	@line=$$($(BIN)/python -m neuronsweep.engine.library) && echo "$$line" || { \
		$(PIP) --retries 1 --editable '.[dev,compiler]' 2> /dev/null; \
		$(BIN)/python -m neuronsweep.engine.library || true; }
	touch $@

sweep: env  ## the headline sweep: what do 2, 8, 32 neurons with relu or tanh learn of a sine
	$(BIN)/python train.py -m model.hidden=2,8,32 model.act=relu,tanh

reproduce: env  ## which claims of the articles hold, and in how many of 20 seeds
	$(BIN)/python scripts/reproduce.py

gallery: env  ## docs/gallery.md from sweeps trained now
	$(BIN)/python scripts/gallery.py

test: env  ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: env  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src scripts train.py benchmarks tests

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: env  ## the figures of README
	$(BIN)/python benchmarks/single_run.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/sweep.py

soak: env  ## kills sweeps 200 times and resumes them, 26 minutes on two cores
	$(BIN)/python -m tests.kill_loop --kills 200

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
