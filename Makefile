# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
# Passed on to the session: make units ARGS=tests/unit/plugins/module_utils/test_plan.py
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test matrix lint format units docs release bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\): ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## show the collection at work, against a simulator of the API
	@$(PYTHON) tests/demo/run.py $(ARGS)

test: ## run everything that must be green before a change lands
	@$(PYTHON) .ci/test.py

matrix: ## run the same on every supported ansible-core, with every variant of the API
	@$(PYTHON) .ci/test.py --matrix

lint: ## check formatting, code, types and YAML
	@$(PYTHON) .ci/test.py lint

format: ## format the Python code
	@CI=false $(PYTHON) .ci/test.py formatters

units: ## run the unit tests on the newest ansible-core
	@$(PYTHON) .ci/test.py unit-2.21 -- $(ARGS)

docs: ## build the documentation as HTML
	@$(PYTHON) .ci/test.py docs-site
	@echo "Open .nox/docs-site/tmp/site/build/html/index.html"

release: ## build and try what is to be published, into dist/
	@$(PYTHON) .ci/test.py release

# ARGS="tasks ...", ARGS="organizations ..." or ARGS="troubled ..." is one of them, with its options.
bench: ## measure what a task and an audit cost, beside debug
	@$(PYTHON) .ci/test.py bench -- $(ARGS)

clean: ## remove what these targets made
	rm -rf .nox .ansible dist collections tests/output .mypy_cache .pytest_cache .ruff_cache changelogs/.plugin-cache.yaml
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
