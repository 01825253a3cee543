# The only commands a person has to know. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check chaos generate bench clean-cache prepare venv tools

PYTHON ?= python3
CACHE := $(or $(PINION_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pinion)
UV := $(CACHE)/uv/bin/uv
VENV := .venv
PY := $(VENV)/bin/python
export UV_LINK_MODE ?= copy
export UV_CACHE_DIR ?= $(CACHE)/uv-cache

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: prepare ## a cluster, the images, the chart and a served model
	$(PY) -m devcluster demo

demo-down: venv ## take the demo's cluster away; images and tools stay in the cache
	$(PY) -m devcluster demo-down

test: prepare ## every check and every test
	$(PY) -m tests.run

check: prepare ## what needs no cluster: format, lint, types, borders, generated files, the chart
	$(PY) -m tests.run check

chaos: prepare ## long rounds of faults; PINION_CHAOS_ROUNDS=n of each (default 10)
	$(PY) -m tests.run chaos

generate: venv ## write what is made from the code: crds/, the chart's copies, the tables of four pages
	$(PY) -m pinion_operator.api.crd write
	$(PY) -m pinion_runtime.model.settings_page write
	$(PY) -m pinion_runtime.server.reference write
	$(PY) -m pinion_runtime.server.generation_reference write
	$(PY) -m pinion_ipfs.commands.reference write

bench: venv ## what we claim, measured against a named peer or limit in the same run
	$(PY) -m benchmarks

clean-cache: venv ## delete everything that was built once
	$(PY) -m devcluster clean-cache

# The Go programs take minutes, the Python environment waits for downloads: both at once.
prepare:
	@$(MAKE) --no-print-directory -j2 venv tools

venv: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt | $(UV)
	@echo "making $(VENV): torch, transformers and the test tools"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(PY) -c constraints.txt $(if $(TORCH_INDEX_URL),--index $(TORCH_INDEX_URL)) \
	  --editable '.[operator,runtime,container]' --group dev
	@touch $@

$(UV):
	@echo "installing uv: it makes the Python environment in seconds"
	@$(PYTHON) -m venv $(CACHE)/uv
	@$(CACHE)/uv/bin/python -m pip install --quiet uv

tools:
	@$(PYTHON) -m devcluster.gotools
	@$(PYTHON) -m devcluster.tidy
