# Two commands: `make book` builds the book, `make test` checks everything.
# Both need Python 3.11 or newer and make; all the rest goes into .venv.
#
#   make book PROFILE=sample ONLY=02     one chapter, in another profile

PYTHON  ?= python3
PROFILE ?= quick
ONLY    ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help book test coverage verify reproduce bench lint types pairing rounding clean
.DELETE_ON_ERROR:

help:
	@echo "make book    execute the chapters and build the HTML (PROFILE=quick|sample|paper, ONLY=02)"
	@echo "make test    test suite, lint, format, imports, spelling, prose, types, pairing of the notebooks"
	@echo "make coverage   the test suite, with the share of the code that it runs"
	@echo "make verify     run some records again and compare (MINUTES=5)"
	@echo "make reproduce  every run of the book again on this machine (PROFILE=quick)"
	@echo "make rounding   the tests that train, as on a processor with AVX2"
	@echo "make bench   time the neurons beside other libraries"
	@echo "make clean   remove what was built (_build); .venv stays"

book: $(VENV)/.book
	$(BIN)/snnbd book --profile $(PROFILE) $(if $(ONLY),--only $(ONLY))

# Runs a random sample of the committed records again and compares.
MINUTES ?= 5
verify: $(VENV)/.book
	$(BIN)/snnbd verify --minutes $(MINUTES)

# Every run of the book on this machine; goes on where it was stopped.
reproduce: $(VENV)/.book
	$(BIN)/snnbd reproduce --profile $(PROFILE)

# The suite comes last, so that its closing line is the last thing on the screen.
# What does not run the suite takes one core each, so two of them run side by side.
test: $(VENV)/.test
	$(MAKE) -j 2 lint types pairing
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Following each line takes half as long again, so this is done once a week.
coverage: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

PROSE := README.md CHANGELOG.md CONTRIBUTING.md benchmarks/README.md book notebooks

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/codespell
	HOME=/dev/null XDG_CONFIG_HOME=/dev/null $(BIN)/proselint check $(PROSE)

types: $(VENV)/.test
	$(BIN)/mypy

pairing: $(VENV)/.test
	$(BIN)/snnbd pair --check

# Trainings drift apart between processors, which round differently: the tests that train run here
# as on a processor with AVX2 and one thread, besides the machine's own way in the suite. CI runs
# both; here, run it after a change to what trains.
rounding: $(VENV)/.test
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest -n 2 --dist worksteal -m trains

# About three quarters of an hour; wants a machine without other work.
bench: $(VENV)/.test
	$(BIN)/python -m benchmarks.neurons
	SNNBD_KEEP_MEMORY=0 $(BIN)/python -m benchmarks.neurons lif training

clean:
	rm -rf _build

# Stamp files: the environment is made again only when its description changed.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.book: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing the book's environment into $(VENV) (several minutes the first time)"
	$(PIP) -e '.[book,sweep]'
	@touch $@

$(VENV)/.test: $(VENV)/.book
	$(PIP) -e '.[book,sweep,test,lab]'
	$(PIP) --no-deps spikingjelly norse sinabs nirtorch nir pbr
	@touch $@
