# What an experiment runs in when it needs a GPU: torch, whose wheels bring CUDA's libraries. The driver comes from the machine,
# by NVIDIA's container toolkit. Pawl adds the limits: no network, no capabilities, a read-only root, an unprivileged user.
#
#   docker build -f docker/experiment-cuda.Dockerfile --build-arg REQUIREMENTS="tiktoken==0.12.0" .
#
# BASE is any image with python3 and pip, best by digest (python@sha256:…). TORCH is one pinned release: another one is another
# experiment. PACKAGES are Debian's; torch.compile wants a C compiler. About 8 GB with all of it.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

ARG PACKAGES="gcc libc6-dev"
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi

# Words of one pip command line each, on purpose unquoted. Empty: nothing is installed.
ARG TORCH="torch==2.13.0 numpy==2.4.6"
ARG REQUIREMENTS=""
RUN if [ -n "$TORCH$REQUIREMENTS" ]; then python3 -m pip install --no-cache-dir $TORCH $REQUIREMENTS; fi

# The root is read-only and the user owns nothing: caches, also those of compiled kernels, go where a size limit holds.
ENV HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    TRITON_CACHE_DIR=/tmp/.cache/triton \
    TORCHINDUCTOR_CACHE_DIR=/tmp/.cache/inductor \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 65534:65534
CMD ["python3", "-c", "import torch; print(torch.__version__, torch.cuda.is_available())"]
