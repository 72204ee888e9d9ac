# Two commands, each from nothing: `make demo` and `make test`.

PYTHON ?= python3
VENV   ?= .venv
# The version that the tests run with. Where pip finds its CPU build, a machine without an NVIDIA card takes that
# one; the plain build for Linux brings several gigabytes of CUDA.
TORCH  ?= 2.13.0
# The tests run in as many processes as there are cores, four at most; one that has no more takes some of another's.
SPREAD := --numprocesses auto --maxprocesses 4 --dist worksteal
BIN    := $(VENV)/bin
DEMO   := runs/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test test-full lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   install lenext, train LeNet-5 on handwritten digits, show what it learned"
	@echo "make test   install what the tests need and run them all"
	@echo "make test-full   the same, and the deepest and widest models in full"
	@echo "make lint   ruff and mypy"

demo: $(VENV)/installed
	$(BIN)/lenext train digits --model lenet5 --out $(DEMO)
	$(BIN)/lenext evaluate $(DEMO) digits
	$(BIN)/lenext predict $(DEMO) examples/digits --top 3
	@echo "The report: $(CURDIR)/$(DEMO)/report.html"

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD)

test-full: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD) -m "full or not full"

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/torch:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lenext needs Python 3.11 or newer; give one as PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@command -v nvidia-smi >/dev/null || $(BIN)/pip install --quiet "torch==$(TORCH)+cpu" 2>/dev/null \
		|| echo "pip finds no CPU build of torch $(TORCH): taking the plain one"
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet "torch==$(TORCH)" \
		|| $(BIN)/pip install --quiet "torch>=2.9"
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/installed
