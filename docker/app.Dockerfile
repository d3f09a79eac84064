# The App: `pawl serve`, and every other command of Pawl's that needs no GPU.
#
#   docker build -f docker/app.Dockerfile -t pawl .
#   docker compose -f docker/compose.yaml up
#
# BASE is any image with Python 3.11 or newer, best by digest (python@sha256:…). PIP is how pip is called in it, and pip's own
# variables (PIP_NO_INDEX, PIP_FIND_LINKS, PIP_INDEX_URL) may be given, where packages come from a folder or an index of your own.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ARG PIP="python3 -m pip"
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_INDEX_URL
WORKDIR /src
COPY . .
# Words of one command line, on purpose unquoted.
RUN $PIP install --quiet --no-cache-dir --no-compile --constraint .ci/constraints.txt --target /opt/pawl \
    '.[app,granian,llm,search]'

FROM ${BASE}
COPY --from=build /opt/pawl /opt/pawl
# What is kept lies in /data: the App's credentials, which are all that needs a backup, and the database.
RUN mkdir -m 700 /data && chown 10001:10001 /data
ENV PYTHONPATH=/opt/pawl \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PAWL_HOST=0.0.0.0 \
    PAWL_PORT=8080 \
    PAWL_CREDENTIALS=/data/pawl-app.json \
    PAWL_DATABASE=sqlite:////data/pawl.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PAWL_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["python3", "-m", "pawl"]
CMD ["serve"]
