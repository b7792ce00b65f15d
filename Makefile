# Every target makes its own virtual environment when there is none.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow check audit bench format clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(READY)            ## train the default families, compare them, draw the figures
	$(BIN)/akpsim train-family --out runs/digits
	$(BIN)/akpsim compare runs/digits --metric cka
	$(BIN)/akpsim disperse runs/digits --by stress
	$(BIN)/akpsim ordinate runs/digits --by stress
	$(BIN)/akpsim plot runs/digits

test: $(READY)            ## the test suite, under five minutes on two cores
	$(BIN)/python -m pytest

test-slow: $(READY)       ## simulation studies of calibration
	$(BIN)/python -m pytest -m slow -s -n 2

check: $(READY)           ## what CI checks besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory audit || true

# pip-audit also says that nothing was found where the service knows none of the packages.
audit: $(READY)           ## known vulnerabilities of what is installed; asks a service on the network
	@$(BIN)/python -m pip install --quiet pip-audit 2> /dev/null || true
	@said=$$($(BIN)/python -m pip_audit --skip-editable --progress-spinner off --timeout 5 2>&1); found=$$?; \
	if echo "$$said" | grep -q "^Found"; then echo "$$said"; exit $$found; \
	elif [ $$found -ne 0 ] || echo "$$said" | grep -q "could not be audited"; then \
	echo "audit: not made, the service does not answer or does not know the packages"; \
	else echo "audit: no known vulnerability"; fi

bench: $(READY)           ## ratios to a floor and to peers
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m pytest benchmarks -m '' -n 0 -s

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info
