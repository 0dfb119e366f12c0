# One image for every service: packages by hash, our code read-only, nobody's privileges.
# To renew the base, change tag and digest together. A digest needs a registry: for another base see docs/operate/airflow.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

# Packages come from PyPI, through the proxy that Docker knows of; from another index with these arguments; or from the folder wheels/
# alone, where there is one. docs/operate/airflow.md has each of the ways.
FROM ${PYTHON_IMAGE} AS packages
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX=${PIP_INDEX_URL}
WORKDIR /build
COPY requirements-uv.txt requirements-deploy.txt wheels* ./
RUN from= \
 && if ls *.whl >/dev/null 2>&1; then from="--no-index --find-links=/build"; fi \
 && if [ -z "$UV_DEFAULT_INDEX" ]; then unset UV_DEFAULT_INDEX; fi \
 && pip install $from --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.txt \
 && python -m venv --without-pip /opt/venv \
 && uv pip sync $from --no-cache --python /opt/venv/bin/python --require-hashes --only-binary :all: requirements-deploy.txt

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/segments \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/run/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/segments/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/log/airflow \
    SEGMENTS_COMPANY=/company \
    SEGMENTS_LAKE=/lake \
    SEGMENTS_CACHE=/lake/copies
COPY --from=packages /opt/venv /opt/venv
# Nobody may write bytecode later, so what is not compiled here is compiled by every process anew. Python's images bring none of their own library.
# A package may bring a file that no Python compiles, which fails compileall at its end; then it is enough that Airflow's own are there.
RUN library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && { python -m compileall -qq -j 0 -x "/tests?/" /opt/venv "$library" || ls /opt/venv/lib/python*/site-packages/airflow/__pycache__ >/dev/null; }
COPY pipeline /opt/segments/pipeline
COPY dags /opt/segments/dags
COPY plugins /opt/segments/plugins
COPY expectations /opt/segments/expectations
COPY segments /opt/segments/segments
RUN python -m compileall -q /opt/segments \
 && groupadd --gid 10001 segments \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /run/airflow --shell /usr/sbin/nologin segments \
 && install --directory --owner=10001 --group=10001 --mode=0750 /lake /var/log/airflow \
 && install --directory --mode=0755 /company \
 && printf '%s\n' '#!/opt/venv/bin/python' 'from pipeline.cli import main' 'main()' >/opt/venv/bin/segments \
 && chmod 755 /opt/venv/bin/segments
USER 10001:10001
WORKDIR /opt/segments
