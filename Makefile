# Every target sets itself up: on a fresh machine `make ablation` or `make test` is all there is to
# type. PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Some containers switch bytecode off; then each of the many processes compiles the whole package.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: install everything ablation test test-nightly test-lowest lint docs clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

# The library and what the experiments need; with numba a training step of the wavelet models takes
# 0.7 to 1.0 of the time.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'wavevit needs Python 3.11 or newer')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[experiments,fast]'
	touch $@

# The same, with the oracles, the test runner, the linter and the type checker.
$(VENV)/.developer: $(VENV)/.installed
	$(PIP) --editable '.[test,lint]'
	touch $@

# What lint, docs and test need, by one run of pip in place of three.
everything:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[lint,docs]'
	touch $(VENV)/.installed $(VENV)/.developer $(VENV)/.documented

# The main job: train, measure, compare and report. ARGS reaches the experiment's own command line:
# make ablation ARGS="--seeds 0 1 2 3 4". A run that fails is told in the report and in the exit
# status; the others are reported all the same.
STUDY ?= patch_vs_wavelet
OUT ?= runs/$(STUDY)
ablation: install
	$(BIN)/python -m experiments run $(STUDY) --out $(OUT) $(ARGS); status=$$?; \
	test -d $(OUT) && $(BIN)/python -m experiments report $(STUDY) --out $(OUT) && exit $$status

test: $(VENV)/.developer
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The slow cases too, and a thousand examples for each property: hours. WAVEVIT_TIMM may name a
# clone of timm's repository, whose scripts are then tested too.
test-nightly: $(VENV)/.nightly
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist worksteal -m "" --timeout 3600

$(VENV)/.nightly: $(VENV)/.developer
	$(PIP) --editable '.[tools]'
	touch $@

# The suite with the smallest versions that we allow; what compares us with timm and transformers
# needs their present behaviour. A newer pyparsing warns about matplotlib 3.9. In an environment of
# its own: torch of PyPI is several gigabytes.
LOWEST_TOOLS := hatchling pytest pytest-timeout pytest-xdist hypothesis ptwt torchwavelets==0.1.1 \
	onnx onnxscript transformers peft accelerate segmentation-models-pytorch open_clip_torch selenium
test-lowest:
	test -x $(VENV)-lowest/bin/python || $(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints-lowest.txt --editable '.[experiments,fast,tasks,timm,onnx,compare]' \
		'pyparsing<3.3' $(LOWEST_TOOLS)
	$(VENV)-lowest/bin/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in docs/_build: offline, warnings are errors. Figures, reports and the explorer's models
# are built from the records first, into docs/_generated.
docs: $(VENV)/.documented
	$(BIN)/python -m experiments.reporting.site
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	$(BIN)/python docs/check_site.py docs/_build
	@echo "open docs/_build/index.html"

$(VENV)/.documented: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest runs docs/_build docs/_generated build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
