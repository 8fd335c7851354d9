# Everything happens in .venv, which is made anew only when the requirements change.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo astronaut test test-gpu cases lint check fuzz clean

demo: $(VENV)/.runtime
	$(BIN)/python -m chunky_core demo --out out/demo

# The same on a real photograph, with roughly drawn masks.
astronaut: $(VENV)/.development
	mkdir -p out/astronaut
	PYTHONPATH=. $(BIN)/python docs/astronaut/crop.py out/astronaut/photo.png
	$(BIN)/python -m chunky_core edit out/astronaut/photo.png --masks docs/astronaut/labels.png \
		--static background,cloth --edit mouth:mouth_open=1 --edit eyes:gaze=-1.5 --out out/astronaut

# A process for each core, each with one thread: most tests are small, and threads of several would only wait for each other.
# The tests of a file stay together.
test: $(VENV)/.development lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# What a GPU computes, how fast and in how much memory, as JSON, on a fresh machine with a driver: under 8 minutes in all.
# DEVICE=cpu is a dry run of small size. Where torch and the rest are installed already: GPU_PYTHON=python3.
DEVICE ?= cuda
REPORT ?= out/gpu.json
GPU_PYTHON ?= $(BIN)/python
INSTALL_LIMIT ?= 200
test-gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(VENV)/.tested)
	$(GPU_PYTHON) -m benchmarks.device_report --device $(DEVICE) --out $(REPORT)

# Inputs that once went wrong, and what a user should see, where they lie beside the project; also in `make test`.
cases: $(VENV)/.development
	$(BIN)/python -m pytest tests/test_cases.py -v

lint: $(VENV)/.development
	$(BIN)/ruff check .
	mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/chunkygan_pack  # the folder's own name may be no identifier
	cd $(VENV)/types && "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/pyproject.toml" -p chunkygan_pack.nodes -p chunkygan_pack.chunky_core

# Damaged files of every kind; `make test` runs 2000 of each format of checkpoints and some hundreds of the others.
FUZZ_COUNT ?= 100000
FUZZ_SEED ?= 1
FORMATS := ada tensorflow stylegan3 rosinality e4e whole legacy plain paddle own \
	settings npy npz directions direction-tools channels tensors inversion onnx
fuzz: $(FORMATS:%=fuzz-%)
fuzz-%: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run --format $* --count $(FUZZ_COUNT) --seed $(FUZZ_SEED)

$(VENV)/.runtime: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# Only what the report needs, which installs faster than all of requirements-dev.txt.
$(VENV)/.tested: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	timeout $(INSTALL_LIMIT) $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt pytest
	touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf out .pytest_cache .mypy_cache .ruff_cache
