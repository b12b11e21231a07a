# One image for every role: web site, workers, beat and the command line. See docker-compose.yml.

FROM python:3.12-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /opt/venv

# The pins change seldom and the code often, so the slow layer comes first. Compose brings the servers,
# so the embedded ones are left out.
COPY requirements/similarity.txt requirements/similarity.txt
RUN /opt/venv/bin/pip install --no-deps --require-hashes -r requirements/similarity.txt

COPY pyproject.toml README.md LICENSE ./
COPY requirements/run.in requirements/embedded.in requirements/similarity.in requirements/
COPY migrations migrations
COPY email_templates email_templates
COPY service service
COPY workers workers
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation . \
 && /opt/venv/bin/pip uninstall --yes --quiet setuptools pip \
 && /opt/venv/bin/python -m compileall -q /opt/venv/lib


FROM python:3.12-slim

# The data directory belongs to the account before a volume is laid over it, and so the volume does.
RUN useradd --system --uid 10001 --home-dir /var/lib/paperboy --create-home paperboy

COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAPERBOY_DATA_DIR=/var/lib/paperboy
WORKDIR /app
USER paperboy

EXPOSE 8000
# For the web site; the other roles bring their own in docker-compose.yml. slim has no curl.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["paperboy"]
CMD ["--help"]
