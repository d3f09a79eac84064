# What an experiment runs in when it needs no GPU. Pawl adds the limits: no network, no capabilities, a read-only
# root, an unprivileged user. Build it with what your loop imports, pinned:
#
#   docker build -f docker/experiment-cpu.Dockerfile --build-arg REQUIREMENTS="numpy==2.4.6 scipy==1.17.1" .
#
# BASE is any image with python3, say one by digest (python@sha256:…), or pawl-base:bookworm from
# docker/base-from-debootstrap.sh where no image registry can be reached (that one has no pip).
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

# Words of one pip command line, on purpose unquoted. Empty: nothing is installed.
ARG REQUIREMENTS=""
RUN if [ -n "$REQUIREMENTS" ]; then python3 -m pip install --no-cache-dir $REQUIREMENTS; fi

# The root is read-only and the user owns nothing: caches go where a size limit holds.
ENV HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 65534:65534
CMD ["python3", "--version"]
