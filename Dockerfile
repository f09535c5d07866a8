# The service and its worker: `ragstore serve` unless told otherwise (`migrate`, `worker`, `tenants list`, …).
# 3.13 is the newest Python for which every dependency has wheels: nothing is compiled here.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml constraints.txt ./
# Dependencies first, from the two files that name them: a change of code does not install them again.
RUN pip install -c constraints.txt hatchling \
 && python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > dependencies.txt \
 && python -m venv /opt/ragstore \
 && /opt/ragstore/bin/pip install --only-binary :all: -c constraints.txt -r dependencies.txt
COPY README.md LICENSE ./
COPY ragstore ragstore
COPY migrations migrations
RUN python -m hatchling build -t wheel -d /dist \
 && /opt/ragstore/bin/pip install --no-deps /dist/*.whl \
 && /opt/ragstore/bin/pip uninstall -y pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin ragstore \
 && install -d -o ragstore -g ragstore -m 700 /data
COPY --from=build /opt/ragstore /opt/ragstore
ENV PATH=/opt/ragstore/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RAGSTORE_DATA_DIR=/data RAGSTORE_LOG_FORMAT=json
USER ragstore
WORKDIR /data
# Nothing of value with RAGSTORE_DATABASE_URL; without it the embedded Postgres keeps everything here.
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# The worker answers no HTTP: compose.yaml switches this off for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["ragstore"]
CMD ["serve", "--host", "0.0.0.0"]
