# Airlock for more than one machine: the same image runs Airflow's components, the trader and the sandbox exchange.
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 50000 airlock
WORKDIR /opt/airlock
ENV PYTHONUNBUFFERED=1 PATH=/opt/airlock/.venv/bin:$PATH AIRLOCK_HOME=/var/lib/airlock \
    AIRFLOW_HOME=/var/lib/airlock/airflow

COPY requirements/bootstrap.txt requirements/runtime.txt requirements/
RUN python -m venv .venv \
 && python -m pip --python .venv/bin/python install --no-cache-dir --require-hashes -r requirements/bootstrap.txt \
 && uv pip install --python .venv/bin/python --no-cache --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE NOTICE airflow_settings.yaml ./
COPY include include
COPY dags dags
COPY plugins plugins
COPY reports reports
RUN uv pip install --python .venv/bin/python --no-deps --no-build-isolation --editable . \
 && mkdir -p /var/lib/airlock && chown airlock:airlock /var/lib/airlock

USER airlock
VOLUME /var/lib/airlock
CMD ["airlock", "--help"]
