# make demo     plays the main job for real against local stand-ins, then keeps serving (ONCE=1: stops after the story)
# make test     runs every test, and of the large counts a share that it prints
# make check    lint, types, import contracts
# make torture  the large counts, all of them: kills at every point, contests, memory, ten thousand simulated runs
#               (of what is drawn again and again each test begins no more after MINUTES=60, which took 72 minutes on
#               two cores with WORKERS=8; 0: no end)
# make mutations  plants the listed bugs one at a time; each must be caught by the tests it names (ONLY="part of a name")
# make bench    how fast the main path is, beside the floor of the same run

SHELL := /bin/sh
BIN := .venv/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

# The suite starts hundreds of processes, and each would compile all of the code again where Python was told to keep none.
unexport PYTHONDONTWRITEBYTECODE

# Most tests wait for a process or a socket most of the time.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 )))

# For the million words of the hostile pair this is too little on two cores; everything else is through before.
MINUTES ?= 60

.PHONY: demo test torture mutations check bench lock clean

demo: .venv/installed
	@$(BIN)/gatehouse demo $(if $(ONCE),--once)

test: .venv/installed
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

torture: .venv/installed
	@GATEHOUSE_SHARE=1 GATEHOUSE_MINUTES=$(MINUTES) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m torture $(TESTS)

mutations: .venv/installed
	@$(BIN)/python -m tests.mutations.run $(if $(ONLY),--only "$(ONLY)")

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Exactly what was tested, with hashes; the build backend is among it. The lock names every package that is needed, so
# nothing is resolved: pip would look at newer releases of what others want "with extras", and refuse to go on.
.venv/installed: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Gatehouse needs Python 3.11, 3.12 or 3.13, and none of them is on this machine."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install the package python3-venv."; exit 1; }
	@echo "Installing into .venv (once) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

bench: .venv/installed
	@$(BIN)/python -m tests.bench.bench $(BENCH)

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--python-version 3.11 --all-extras pyproject.toml -o requirements.lock
	# of these, what a running bot needs, and the build backend: for the Dockerfile
	echo 'hatchling' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --python-version 3.11 -c requirements.lock pyproject.toml - \
		-o requirements.run.lock

clean:
	rm -rf .venv .demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
