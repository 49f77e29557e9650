# One target a task; each sets up what it needs. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export SAM_CLI_TELEMETRY := 0

VENV := .venv
# The local AWS has an environment of its own; requirements-local-aws.txt says why.
AWS_VENV := .venv/aws
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
# What tests and linters need besides; `make run` does without.
TESTS := $(VENV)/.tests

.PHONY: help setup run demo test unit integration e2e browser shots first-view proof bench eval audit lock checkov lint format build validate sam-local clean

help:  ## list these targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Both at once: the one waits for the network while the other unpacks.
setup:  ## make the Python environments that the system runs in (the other targets do it by themselves)
	@$(MAKE) --no-print-directory --silent -j2 $(VENV)/.installed $(AWS_VENV)/.installed

run: setup  ## start the whole system on this machine, until Ctrl-C (docs/local.md)
	@exec $(PYTHON) -m local

demo: setup  ## play a whole conversation over SMTP, on a running stack or on one of its own
	@exec $(PYTHON) -m local.demo

# The pages are tested in a real browser, where there is one; .ci/run installs it.
BROWSER := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo "$$CHROMIUM")

test: setup $(TESTS)  ## all tests: unit, integration, the whole stack, the pages in a browser
	@$(if $(BROWSER),,echo "The browser tests do NOT run: no Chromium was found (apt install chromium, or set CHROMIUM).")
	@# Two at once, since each waits much: what plays AWS within the process, told about at the end, and the
	@# local stack. The proofs in a process of their own: they play whole days through the handlers' caches.
	@told=$$(mktemp); failed=0; proofs=0; set -m; \
	(($(PYTHON) -m pytest tests/proof || proofs=$$?; \
	  $(PYTHON) -m pytest tests/unit tests/integration; exit $$proofs) >$$told 2>&1) & inside=$$!; \
	set +m; trap 'kill -- -$$inside 2>/dev/null || true; rm -f $$told' EXIT; \
	$(PYTHON) -m pytest tests/e2e $(if $(BROWSER),tests/browser) || failed=$$?; \
	[ $$failed != 2 ] || exit 2; \
	echo "Waiting for tests/proof, tests/unit and tests/integration, which run beside it."; \
	wait $$inside || failed=$$?; cat $$told; exit $$failed

unit: $(TESTS)  ## unit tests alone, in seconds
	$(PYTHON) -m pytest tests/unit

integration: $(TESTS)  ## adapters and functions on moto
	$(PYTHON) -m pytest tests/integration

e2e: setup $(TESTS)  ## the built artefact on the local AWS
	$(PYTHON) -m pytest tests/e2e

browser: setup $(TESTS)  ## the pages in a real browser
	$(PYTHON) -m pytest tests/browser

shots: setup $(TESTS)  ## pictures of every page, phone and desktop, light and dark, into ./shots
	$(PYTHON) -m tests.browser.shots

first-view: setup $(TESTS)  ## how long the portal's first view takes on the local stack
	$(PYTHON) -m tests.browser.first_view

proof: setup $(TESTS)  ## the long version of every proof (docs/reliability.md); hours
	SERVELO_PROOF=1 $(PYTHON) -m pytest tests/unit tests/integration tests/proof tests/e2e $(if $(BROWSER),tests/browser)
	$(PYTHON) -m tests.proof.load --mails 20000 --flood 10000
	$(PYTHON) -m tests.proof.mutated_mails --count 100000
	$(PYTHON) -m tests.proof.fairness --mails 10000
	$(PYTHON) -m pip install --quiet --disable-pip-version-check atheris || echo "no atheris for this Python: the mutator fuzzes"
	for target in read_mail part_reply parse_mailboxes verify_token read_bounce; do \
	  $(PYTHON) -m tests.proof.fuzz_mail --seconds 720 --target $$target; done

bench: setup $(TESTS)  ## figures, as ratios within one run; PEERS=1 adds django-helpdesk
	$(PYTHON) -m bench

eval: $(TESTS)  ## score reading, new words and bounces: make eval CORPORA=folder
	@PYTHON=$(PYTHON) bench/eval.sh $(CORPORA) $(EVAL_ARGS)

audit: $(VENV)/.installed  ## known weaknesses of what the layer ships (needs pip-audit's data)
	@[ -x $(VENV)/audit/bin/python ] || $(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --disable-pip --require-hashes --requirement layers/common/requirements.lock

lock: $(VENV)/.installed  ## hashes of what the layer is built of, after a change of its requirements
	$(PYTHON) layers/lock.py

sam-local: setup $(TESTS)  ## every function by sam local invoke, and start-api, where Docker runs; else by the runtime emulator
	@if docker info >/dev/null 2>&1; then \
	  $(PYTHON) -m local.sam_local; \
	else \
	  echo "no Docker engine answers: the built functions run under Lambda's runtime emulator instead"; \
	  $(PYTHON) -m pytest -v tests/e2e/test_runtime_emulator.py; \
	fi

lint: $(TESTS)  ## ruff, mypy --strict, sam validate --lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/sam validate --lint --template template.yaml --region eu-west-1

format: $(TESTS)  ## let ruff mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

build: $(VENV)/.installed  ## what is deployed: .aws-sam/build
	$(VENV)/bin/sam build

checkov: $(TESTS)  ## the template, transformed, by checkov (in an environment of its own)
	@[ -x $(VENV)/checkov/bin/python ] || $(PYTHON) -m venv $(VENV)/checkov
	$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30
	@mkdir -p .aws-sam && $(PYTHON) -m tests.sam_template > .aws-sam/transformed.json
	$(VENV)/checkov/bin/checkov --framework cloudformation --file .aws-sam/transformed.json \
	  --compact --quiet --skip-download

validate: $(VENV)/.installed  ## the template alone
	$(VENV)/bin/sam validate --lint --template template.yaml --region eu-west-1

clean:  ## remove environments, builds and local data
	rm -rf $(VENV) .aws-sam .local .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python from 3.11 on that can make an environment.
define find_python
for candidate in $${SERVELO_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
    found="$$candidate"; break; \
  fi; \
done; \
if [ -z "$${found:-}" ]; then \
  echo "Python 3.11 or newer with venv was not found." >&2; \
  echo "  Debian, Ubuntu:  apt install python3 python3-venv" >&2; \
  echo "  Fedora:          dnf install python3 python3-pip" >&2; \
  echo "  macOS:           brew install python@3.13" >&2; \
  echo "  elsewhere:       set SERVELO_PYTHON to its path" >&2; \
  exit 1; \
fi
endef

$(PYTHON):
	@$(find_python); echo "making $(VENV) with $$("$$found" --version)"; "$$found" -m venv $(VENV)

# Not compiled beforehand: a module is when it is first imported, and most of them never are.
$(VENV)/.installed: requirements-local.txt layers/common/requirements.txt pyproject.toml | $(PYTHON)
	@$(PIP) --no-compile -r requirements-local.txt --editable .   # .venv/bin/servelo
	@touch $@

$(VENV)/.tests: requirements-dev.txt $(VENV)/.installed
	@$(PIP) --no-compile -r requirements-dev.txt
	@touch $@

# Compiled: each copy of a function that starts imports anew, and writes nothing.
$(AWS_VENV)/.installed: requirements-local-aws.txt | $(PYTHON)
	@[ -x $(AWS_VENV)/bin/python ] || { echo "making $(AWS_VENV)"; $(PYTHON) -m venv $(AWS_VENV); }
	@$(AWS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-local-aws.txt
	@touch $@
