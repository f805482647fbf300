# A menu: every target is one command. `make help` lists them.
RECIPE ?= trainer/recipes/sample.toml
# Recipes for two cores run on the sample; these want other batches than sample.toml's.
PLAN_cpt_text_cpu := pipeline/plans/sample_neighbors.toml
PLAN_dpr_cpu := pipeline/plans/sample_search.toml
PLAN_ance_cpu := pipeline/plans/sample_search.toml
PLAN_simcse_sup_cpu := pipeline/plans/sample_search.toml
PLAN ?= $(or $(PLAN_$(basename $(notdir $(RECIPE)))),pipeline/plans/sample.toml)
SAMPLE := pipeline/plans/sample.toml pipeline/plans/sample_neighbors.toml pipeline/plans/sample_search.toml
SAMPLE_RECIPES := trainer/recipes/sample.toml $(filter-out %/distill_cpu.toml,$(wildcard trainer/recipes/*_cpu.toml))
TASKS ?= $(if $(filter $(SAMPLE_RECIPES),$(RECIPE)),trainer/tasks/sample.toml)
RUN ?= runs/$(basename $(notdir $(RECIPE)))
JUZI := $(or $(CARGO_TARGET_DIR),target)/release/juzi

.PHONY: help setup build sample vectors shards synonyms train show verify test lint format format-check batches feed tokenizer bench selftest clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "make %-13s %s\n", $$1, $$2}'

setup: ## Install what is missing on this machine (compilers, cmake, BLAS), saying what and why
	@sh pipeline/setup.sh

build: setup ## Build the program (a first build takes some minutes)
	cargo build --release --workspace

sample: setup ## Fetch a sample of freely licensed Chinese text into data/sample-corpora
	@python3 pipeline/sample/fetch.py --out data/sample-corpora

shards: build $(if $(filter $(SAMPLE),$(PLAN)),sample) ## Set up, build and make shards; PLAN=your-plan.toml for your own corpora
	$(JUZI) shards $(PLAN)

vectors: setup ## Fetch word vectors (54 MB) for the sample's synonyms into data/sample-corpora
	@python3 pipeline/sample/vectors.py --out data/sample-corpora

synonyms: shards $(if $(filter $(SAMPLE),$(PLAN)),vectors) ## Set up, make shards and their cache of synonyms; PLAN=your-plan.toml for your own
	$(JUZI) synonyms $(PLAN)

batches: build $(if $(filter $(SAMPLE),$(PLAN)),sample vectors) ## Set up and make all stages of a plan up to training batches; PLAN=your-plan.toml for your own
	$(JUZI) run $(PLAN)

tokenizer: setup ## Fetch a tokenizer (0.2 MB) for the sample into data/sample-corpora
	@python3 pipeline/sample/vocabulary.py --out data/sample-corpora

feed: batches tokenizer ## Set up, make batches of the sample and stream them as a training would, with figures
	$(JUZI) feed trainer/recipes/sample.toml --seconds 20

train: build $(if $(filter $(SAMPLE_RECIPES),$(RECIPE)),batches tokenizer) ## Set up, train an encoder on the sample and show its scores beside baselines; RECIPE=your-recipe.toml RUN=dir TASKS=tasks.toml for your own
	$(JUZI) train $(RECIPE) --run $(RUN)
	$(if $(TASKS),$(JUZI) evaluate $(RUN) $(TASKS) --baselines)

show: ## Look at the shards of the sample
	$(JUZI) show data/sample/shards

verify: ## Check every hash and count of the sample's shards
	$(JUZI) verify data/sample/shards

test: setup ## Set up and run all tests
	cargo build --release --workspace
	cargo test --release --workspace
	@python3 -m unittest discover -s pipeline/sample

lint: ## Clippy with the workspace's rules
	cargo clippy --release --workspace --all-targets -- -D warnings

format: ## Format all tracked Rust files
	@git ls-files '*.rs' | xargs rustfmt --edition 2024

format-check: ## Fail if a tracked Rust file is not formatted
	@git ls-files '*.rs' | xargs rustfmt --edition 2024 --check

bench: build ## Measure speed and memory; PEERS=DIR also runs other tools' scripts there
	cargo bench --workspace --bench shards
	cargo bench --workspace --bench synonyms
	cargo bench --workspace --bench negatives
	cargo bench --workspace --bench batches
	cargo bench --workspace --bench augment
	cargo bench --workspace --bench tokenize
	cargo bench --workspace --bench feed
	cargo bench --workspace --bench train
	cargo bench --workspace --bench embed

selftest: build ## Kill a small run at every crash point on this disk and compare
	$(JUZI) selftest --crash-points

clean: ## Delete what was built (data stays)
	cargo clean
