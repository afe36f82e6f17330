# make book     the book, as a site in _build/html
# make test     every check there is
# make lab      the chapters in JupyterLab
# make execute  run every chapter again and rewrite its outputs
# make help     these and the others
#
# All that is needed beforehand is make and Python >= 3.10. The first call makes .venv and installs everything into it.
#   make book PYTHON=python3.12   another Python
#   make book TORCH=cpu           torch without CUDA: 5 GB less, for machines that have no GPU

PYTHON ?= python3
TORCH  ?= default
VENV   ?= .venv
PORT   ?= 8000

BIN   := $(VENV)/bin
READY := $(VENV)/.ready
SITE  := _build/html
PIP   := $(BIN)/python -m pip --disable-pip-version-check
WANTED := -e ".[book,test,dev,video,export]"

# What the site is made of: the pages, and the docstrings of the package.
SOURCES := _config.yml _toc.yml $(wildcard book/*.* book/_ext/*.py book/_static/*.* book/_static/*/*.*) \
	$(shell find nstlib -name '*.py')

define heading
@printf '\n=== %s\n' $(1)
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv book figures lab execute test lint types unit notebooks audit browser test-cpus mutants serve screenshots clean

help:
	@sed -n '1,9s/^# \{0,1\}//p' Makefile
	@echo 'Parts of make test: lint, types, unit, notebooks, book, audit, browser.'
	@echo 'Others: venv, test-cpus (the numeric tests as other processors compute), mutants (would the tests notice a wrong'
	@echo 'sign?), figures (those of the chapters, for slides), serve (the built site on a local port), screenshots (needs chromium), clean.'

venv: $(READY)

# torch and torchvision are two halves of one thing, so one command resolves them together.
$(READY): pyproject.toml
	$(call heading,'set-up: $(VENV) (torch: $(TORCH))')
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "Python >= 3.10 is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH),default)
	$(PIP) install $(WANTED)
else
	$(PIP) install uv
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend=$(TORCH) $(WANTED)
endif
	@touch $@

book: $(SITE)/index.html
	@echo "Open $(SITE)/index.html"

# A build with a warning is a failed build, which leaves no index.html. All pages are read whenever one of the sources is newer,
# so that no warning hides behind a cache.
.DELETE_ON_ERROR:
$(SITE)/index.html: $(READY) $(SOURCES)
	$(call heading,'book: $(SITE)')
	@rm -rf $(SITE) _build/.doctrees
	$(BIN)/jupyter-book build . -W --keep-going -n
	$(BIN)/python book/build_studio.py $(SITE)/_static/studio
	@touch $@

figures: $(READY)
	$(BIN)/python book/slides.py _build/figures
	@echo "Look into _build/figures"

lab: $(READY)
	$(BIN)/jupyter lab book

execute: $(READY)
	$(call heading,'execute: every chapter in place')
	$(BIN)/python book/execute.py

test: lint types unit notebooks book audit browser
	$(call heading,'all checks passed')

lint: $(READY)
	$(call heading,'lint: ruff and biome')
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python book/check_modules.py

types: $(READY)
	$(call heading,'types: mypy')
	$(BIN)/mypy

# Several processes of one thread each: most tests are too small for two threads.
unit: $(READY)
	$(call heading,'unit tests and doctests: pytest')
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/browser -n auto --maxprocesses 4 --dist loadfile

# Tagged cells are compared with the outputs in the file, the others only run.
notebooks: $(READY)
	$(call heading,'notebooks: nbval')
	$(BIN)/python -m pytest --nbval-lax --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300 \
		--durations=5 book/*.ipynb

audit: $(SITE)/index.html
	$(call heading,'audit: the built pages')
	$(BIN)/python tests/audit_site.py $(SITE)

# The studio and the explorable figures, in the Chromium of this machine; skipped where there is none.
browser: $(SITE)/index.html
	$(call heading,'browser: the living pages')
	$(BIN)/python -m pytest tests/browser

# The numeric tests under other instruction sets and numbers of threads; takes six times as long as they do.
test-cpus: $(READY)
	$(call heading,'numeric tests on other processors')
	$(BIN)/python tests/cpus.py

# Would the tests notice a wrong sign or factor? Takes half an hour; `MUTANTS=adain` asks for one module.
mutants: $(READY)
	$(call heading,'mutants of the losses and methods')
	$(BIN)/python tests/mutants.py $(MUTANTS)

serve: book
	$(BIN)/python -m http.server --directory $(SITE) --bind 127.0.0.1 $(PORT)

screenshots: $(READY)
	$(BIN)/python tests/screenshots.py $(SITE) _build/screenshots

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache .mypy_cache *.egg-info
	find nstlib tests book -name __pycache__ -type d -exec rm -rf {} +
