# Andrea's commands. Needs only GNU make and Python 3.11, 3.12 or 3.13.
#
#   make run      start everything and print the address      (PORT=8001, DATA_DIR=/path)
#   make test     the whole test suite                        (ONLY=tests/voice, ARGS="-k name")
#   make cover    whether every branch of the voice loop is tested
#   make check    style, types, floors, templates, migrations, house rules
#   make bench    the figures of docs/performance.md          (ONLY=voice)
#   make call     a simulated caller telephones the server    (CARRIER=telnyx, AGENT=Grace,
#                 SCRIPT=file, BARGE_IN=seconds, LOSS=percent, JITTER=ms, ARGS="--help")
#   make lock     write requirements*.txt anew from pyproject.toml
#   make clean    remove the virtual environment and caches, never data

VENV := .venv
PY := $(VENV)/bin/python
# The first Python that can run Andrea; `make PYTHON=/path/to/python3.12` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
WORKERS ?= 4
MAKEFLAGS += --no-print-directory
# Compiled code is kept, as it is by default: without it each process reads 2,000 sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test cover check bench call lock clean
.DELETE_ON_ERROR:

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

run: $(VENV)/.run
	@exec $(PY) -m config.launcher

test: $(VENV)/.dev
	@$(PY) -m pytest -n $(WORKERS) $(ONLY) $(ARGS)

cover: $(VENV)/.dev
	@$(PY) -m pytest -q -n $(WORKERS) tests/voice --cov=calls/voice --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=100

check: $(VENV)/.dev
	@$(PY) -m config.check

bench: $(VENV)/.dev
	@$(PY) -m bench $(ONLY) $(ARGS)

call: $(VENV)/.run
	@$(PY) manage.py simulate_call $(if $(CARRIER),--carrier $(CARRIER)) $(if $(AGENT),--agent "$(AGENT)") \
		$(if $(SCRIPT),--script "$(SCRIPT)") $(if $(PORT),--port $(PORT)) \
		$(if $(BARGE_IN),--barge-in $(BARGE_IN)) $(if $(LOSS),--packet-loss $(LOSS)) \
		$(if $(JITTER),--jitter $(JITTER)) $(if $(NO_COLOR),--no-color) $(ARGS)

lock: $(VENV)/.dev
	@$(PY) config/bootstrap.py --lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*

# A stamp is older than its requirements only after they changed.
$(VENV)/.run: requirements.txt config/bootstrap.py
	@$(call bootstrap,$@,requirements.txt)

$(VENV)/.dev: requirements.txt requirements-dev.txt config/bootstrap.py
	@$(call bootstrap,$@,requirements.txt requirements-dev.txt)

define bootstrap
	if [ -z "$(PYTHON)" ]; then \
		echo "Andrea needs Python 3.11, 3.12 or 3.13, and found $$(python3 --version 2>&1 || true)." \
			"Install one of them, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
	$(PYTHON) config/bootstrap.py --stamp $(1) $(2)
endef
