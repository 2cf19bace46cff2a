# Headlight with its bundled model, for one host: docker build -t headlight . && docker run -p 8501:8501 headlight
FROM python:3.11-slim

# Picture files (PNG, SVG) are drawn by Chromium, which takes half a gigabyte of memory while it draws; without it the
# app says that it cannot make them. For a host with 2 GB: docker build --build-arg PICTURES=yes -t headlight .
ARG PICTURES=no
RUN if [ "$PICTURES" = yes ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends chromium fonts-noto-core \
        && rm -rf /var/lib/apt/lists/*; \
    fi

RUN useradd --create-home --uid 1000 headlight
WORKDIR /app
# Model and trace budgets for a host with 1 GB.
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 HEADLIGHT_MODE=public HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 \
    HEADLIGHT_MODEL_MB=200 HEADLIGHT_TRACE_MB=100

# torch's CPU build first: the ordinary one brings several gigabytes of CUDA.
COPY requirements.txt .
RUN pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu \
    && pip install -r requirements.txt

COPY --chown=headlight LICENSE app.py serve.py ./
COPY --chown=headlight .streamlit .streamlit
COPY --chown=headlight assets assets
COPY --chown=headlight attn_core attn_core
COPY --chown=headlight pages pages
COPY --chown=headlight ui ui

USER headlight
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"
CMD ["streamlit", "run", "serve.py", "--server.port=8501", "--server.address=0.0.0.0", "--server.headless=true"]
