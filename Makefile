# Every target sets up .venv by itself (.ci/setup) and then works offline.
# Another Python: make PYTHON=/path/to/python3.12 test
# Written for GNU make 3.81 and BSD tools, which is what macOS has.

unexport PYTHONHOME PYTHONPATH
export PYTHON

BIN := .venv/bin

.PHONY: demo test check lint types layers budgets coverage wheels bench fmt clean .venv

demo: .venv ## run the demo
	@$(BIN)/hypergraph demo

test: .venv ## run the whole test suite
	@$(BIN)/python -m pytest

check: lint types layers budgets ## everything that is checked besides the tests

lint: .venv
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: .venv
	$(BIN)/mypy
	$(BIN)/pyright

layers: .venv
	$(BIN)/lint-imports

budgets: .venv
	$(BIN)/python -m pytest -q tests/core/test_budgets.py

wheels: .venv ## build every wheel and sdist into dist/
	@.ci/wheels dist

coverage: .venv ## which lines and branches the tests reach
	@$(BIN)/coverage run -m pytest -q
	@$(BIN)/coverage report

bench: .venv ## measure against hand-written Python and the peers
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

fmt: .venv ## format, and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove everything that was made
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv:
	@.ci/setup
