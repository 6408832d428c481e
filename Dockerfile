# Gatehouse in a container: exactly the tested packages, by hash, as nobody in particular, with nothing secret in it.
# `gatehouse web` unless another command of the Procfile is given; docker-compose.yml runs them all.

FROM python:3.12.8-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml requirements.run.lock README.md LICENSE ./
COPY approvals/ approvals/
COPY handlers/ handlers/
COPY bot/ bot/
RUN python -m venv /opt/gatehouse
RUN /opt/gatehouse/bin/pip install --disable-pip-version-check --no-cache-dir --require-hashes --no-deps -r requirements.run.lock
RUN /opt/gatehouse/bin/pip install --disable-pip-version-check --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12.8-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin gatehouse
RUN install --directory --owner=10001 --group=10001 --mode=0700 /srv/outside
COPY --from=build /opt/gatehouse /opt/gatehouse
WORKDIR /srv/gatehouse
ENV PATH=/opt/gatehouse/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=3000
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["gatehouse", "healthy"]
CMD ["gatehouse", "web"]
