# The few commands people type. Everything runs in .venv, which the first command creates.
#   make repro     the whole road: raw data to a go / no-go        make test     all tests, in a fresh clone too
#   make demo      a page over the trained model                   make lab      JupyterLab
#   make data      fetch the larger public data sets               make report   HTML of the executed notebooks
#   make timings   measure latency and throughput here             make readme   the README's tables
#   make scaling   time the audit on up to a million rows          make export   the model as ONNX, fp32 and int8
#   make benchmark the public data sets, three seeds (hours)       make rivals   beside what one would pick instead
#   make check     ruff, mypy, structure, params.yaml

PYTHON ?= python3
VENV := $(CURDIR)/.venv
READY := .venv/.installed
POINTERS := $(sort $(wildcard datasets/*/*.dvc))
PIP := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-input

# The stages' commands say `python`: it must be the virtual environment's.
export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)
export OMP_WAIT_POLICY := passive
unexport PYTHONHOME PYTHONPATH

.PHONY: help install repro test demo lab data report timings scaling rivals export benchmark readme check
.DEFAULT_GOAL := help

help:
	@sed -n '2,8s/^#//p' Makefile

install: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; '$(PYTHON)' is not one ($$($(PYTHON) --version 2>&1 | head -n 1))." \
	       "Name yours: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Installing the pinned packages into .venv (some minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(VENV)/bin/python -m ipykernel install --sys-prefix --name python3 --display-name Roadworthy \
	  --env OMP_WAIT_POLICY passive --env HF_HUB_OFFLINE 1 --env TOKENIZERS_PARALLELISM false >/dev/null
	@touch $@

repro: $(READY)
	@dvc repro

test: $(READY)
	@python -m pytest -q -n 2 -m "not slow"
	@python -m pytest -q -n 2 --dist loadfile -m slow

demo: $(READY)
	@python -m roadworthy demo

lab: $(READY)
	@jupyter lab --config jupyter/lab_config.py notebooks

# From the mirror, if `dvc remote add --local mirror FOLDER` has named one; else from the source. A pointer is put
# back after the download (DVC would add the server's checksum), so that what counts stays the pinned hash.
data: $(READY)
	@for pointer in $(POINTERS); do \
	  if dvc remote list | grep -q '^mirror[[:space:]]'; then \
	    dvc pull -q -r mirror "$$pointer" && echo "$$pointer: from the mirror" && continue; \
	  fi; \
	  cp "$$pointer" "$$pointer.pin"; \
	  dvc update -q "$$pointer" && fetched=yes || fetched=no; \
	  mv "$$pointer.pin" "$$pointer"; \
	  if [ $$fetched = yes ] && dvc checkout -q "$$pointer"; then echo "$$pointer: from its source"; continue; fi; \
	  echo "make data: $$pointer could not be fetched, or is no longer what the hash pins. Connect to the internet," \
	       "or name a folder that holds it:" \
	       "dvc remote add --local mirror FOLDER" >&2; exit 1; \
	done

report: $(READY)
	@python -m roadworthy report

# The stage is frozen, so that no `dvc repro` replaces measured times; this is the one command that does.
timings: $(READY)
	@python -m roadworthy timings
	@dvc commit -q -f timings

scaling: $(READY)
	@python -m roadworthy scaling

# SetFit is no dependency: it goes into an environment that sees the packages of .venv, and changes none of them.
.venv-rivals/.installed: $(READY) requirements-rivals.txt
	@$(VENV)/bin/python -m venv --without-pip .venv-rivals
	@$(VENV)/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  > "$$(.venv-rivals/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/roadworthy.pth"
	@if $(VENV)/bin/python -m pip --python .venv-rivals/bin/python install -qq --disable-pip-version-check \
	  --no-input --no-deps -r requirements-rivals.txt; then touch $@; \
	  else echo "make rivals: SetFit could not be installed; going on without it" >&2; fi

rivals: $(READY) .venv-rivals/.installed
	@.venv-rivals/bin/python -m roadworthy rivals

export: $(READY)
	@python -m roadworthy export

# One thread a process: on several cores, start it several times; they share the work.
benchmark: $(READY)
	@python -m roadworthy benchmark +encoder.threads=1

readme: $(READY)
	@python -m roadworthy readme

check: $(READY)
	@ruff check
	@ruff format --check
	@mypy
	@python -m pytest -q tests/test_structure.py tests/test_notebook_sources.py
	@python -m roadworthy config --check
