# Everything runs in .venv, which the first call makes from the hash-pinned lock.
PYTHON ?= python3
BIN := .venv/bin
PREREQUISITES := sudo apt install make python3-venv

.PHONY: run install demo-reset test lint soak mutation mono screenshots notebooks scale ray lock clean

run: .venv/run.stamp ## the workbench with a demo company on the emulators
	@$(BIN)/tieout demo $(ARGS)

install: .venv/run.stamp ## what `tieout` needs, in .venv

demo-reset: .venv/run.stamp ## forget the demo company and everything the demo stored
	@$(BIN)/tieout demo --reset

# Two processes, a file's tests in one of them; ARGS="-n 0" runs all in one, for a debugger.
test: .venv/test.stamp ## linters, types, import rules and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -m "not soak" -n 2 --dist loadfile $(ARGS)

soak: .venv/test.stamp ## what takes too long for every change
	@$(BIN)/pytest -m soak $(ARGS)
	@$(MAKE) --no-print-directory mutation ARGS=

mutation: .venv/mutation.stamp ## how many changes planted in the code of money the tests notice: hours
	@$(BIN)/python -m tests.mutation $(ARGS)

mono: .venv/test.stamp ## a .NET proxy made from our WSDL completes a visit; needs Debian's mono-devel
	@$(BIN)/python -m tests.contract.mono

screenshots: .venv/test.stamp ## docs/images: every page with the demo company
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

notebooks: .venv/notebooks.stamp ## Jupyter with notebooks/ on what is stored; DEMO=1: on the demo company
	@$(if $(DEMO),TIEOUT_DEMO=1) $(BIN)/jupyter lab --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate notebooks $(ARGS)

scale: .venv/test.stamp ## every page with ten million movements stored: hours, and about 120 GB; MOVEMENTS=N: so many
	@$(BIN)/python -m benchmarks.ui --large $(or $(MOVEMENTS),10000000)

ray: .venv/ray.stamp ## matching on a Ray cluster of two processes here gives what one process gives, and how fast
	@$(BIN)/python -m benchmarks.on_ray $(ARGS)

lock: ## pins every package again; needs uv
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build --extra test pyproject.toml -o requirements-test.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build --extra bench -c requirements.lock pyproject.toml -o requirements-bench.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build --extra test --extra mutation -c requirements-test.lock pyproject.toml -o requirements-mutation.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build --extra notebooks -c requirements-test.lock pyproject.toml -o requirements-notebooks.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra build --extra ray -c requirements.lock pyproject.toml -o requirements-ray.lock

clean:
	rm -rf .venv build dist mutants *.egg-info

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
		|| { echo "Tieout needs Python 3.11, 3.12 or 3.13. On Debian: $(PREREQUISITES)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python cannot make virtual environments here. On Debian: $(PREREQUISITES)"; exit 1; }
	@$(PYTHON) -m venv .venv

# The running set is smaller; a checkout set up for tests can also run.
.venv/run.stamp: requirements.lock pyproject.toml | .venv/bin/pip
	@test -e .venv/test.stamp || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/test.stamp: requirements-test.lock pyproject.toml | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What a checkout set up for tests has stays as it is: the locks name the same versions.
.venv/notebooks.stamp: requirements-notebooks.lock pyproject.toml | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-notebooks.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/mutation.stamp: requirements-mutation.lock .venv/test.stamp pyproject.toml | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutation.lock
	@touch $@

.venv/ray.stamp: requirements-ray.lock pyproject.toml | .venv/bin/pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-ray.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
