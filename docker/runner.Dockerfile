# A machine's runners in a container: `pawl runner`, with GitHub's runner program beside it.
#
#   docker build -f docker/runner.Dockerfile -t pawl-runner .
#   docker run -d --name pawl-runner --restart unless-stopped --stop-timeout 7200 \
#     --cap-drop ALL --cap-add SYS_ADMIN --cap-add SETUID --cap-add SETGID --cap-add SETPCAP --cap-add KILL \
#     --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add FOWNER \
#     --security-opt apparmor=unconfined --security-opt seccomp=unconfined \
#     -v /etc/pawl/runner-token:/etc/pawl/runner-token:ro -v /var/lib/pawl-runner:/var/lib/pawl-runner \
#     pawl-runner up --repo OWNER/NAME
#
# Unlike the other images it starts as root: its work is to start GitHub's program and the jobs as two users without rights, in
# namespaces of their own. Those run without any capability but what switching between the two takes.
# /var/lib/pawl-runner/program holds a release of actions/runner, which GitHub wants renewed; so it is no part of the image.
# docs/runner-hardening.md has the whole set-up, and what a loop with run.image needs beside it.
#
# BASE is any image of Debian 12 with Python 3.11 or newer, best by digest. PIP and pip's variables are as in app.Dockerfile.
# PACKAGES is what GitHub's program and jobs need of Debian; empty where the base has it, or nothing can be fetched.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ARG PIP="python3 -m pip"
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_INDEX_URL
WORKDIR /src
COPY . .
# Words of one command line, on purpose unquoted.
RUN $PIP install --quiet --no-cache-dir --no-compile --constraint .ci/constraints.txt --target /opt/pawl '.[runner]'

FROM ${BASE}
ARG PACKAGES="ca-certificates git libicu72 libssl3 mount util-linux"
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi
RUN /usr/sbin/useradd --system --no-create-home --uid 10011 pawl-runner && \
    /usr/sbin/useradd --system --no-create-home --uid 10012 pawl-job
COPY --from=build /opt/pawl /opt/pawl
# Jobs find Pawl too, whose environment is made from nothing: by the interpreter, not by a variable.
RUN site=$(python3 -c 'import site; print(site.getsitepackages()[0])') && mkdir -p "$site" && echo /opt/pawl > "$site/pawl.pth"
RUN printf '#!/bin/sh\nexec python3 -m pawl "$@"\n' > /usr/local/bin/pawl && chmod 755 /usr/local/bin/pawl
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/pawl-runner
ENTRYPOINT ["python3", "-m", "pawl", "runner"]
CMD ["--help"]
