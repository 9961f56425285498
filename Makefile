# Everything a contributor or a machine needs: each target makes its own environment.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready

.PHONY: demo test check bench docs clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)  ## a simulated city, from incidents to a map, in about two minutes
	$(BIN)/tranquillite demo --output demo-run

test: $(READY)  ## the whole suite: units, doctests, README, end to end
	$(BIN)/python -m pytest

check: $(READY)  ## style, types, layers, spelling, words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(READY)  ## speed, memory and accuracy, side by side with a peer or a limit: half an hour
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench,postgres]'
	$(BIN)/python experiments/bench

docs: $(READY)  ## the pages that are made from the code
	$(BIN)/python docs/make_pages.py

clean:
	rm -rf .venv demo-run runs bench-results .pytest_cache .mypy_cache .ruff_cache
