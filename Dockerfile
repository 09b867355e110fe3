# The wheel is built in one stage and installed in another; what runs has no compiler, no source and no root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY reservoir ./reservoir
RUN python -m venv /opt/reservoir \
    && /opt/reservoir/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="reservoir" \
      org.opencontainers.image.description="The shared memory between sales dialers" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/reservoir reservoir
COPY --from=build /opt/reservoir /opt/reservoir
ENV PATH=/opt/reservoir/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESERVOIR_DATA_DIR=/var/lib/reservoir/data
USER reservoir
WORKDIR /var/lib/reservoir
VOLUME /var/lib/reservoir
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
# Give a container at least 15 s to stop: requests under way are finished first.
ENTRYPOINT ["reservoir"]
CMD ["serve", "--host", "0.0.0.0"]
