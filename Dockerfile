# syntax=docker/dockerfile:1
# One image for every part: docker-compose.yml says what each container runs.

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/uv \
    python -m venv /venv && uv pip install --python /venv/bin/python -r requirements.txt
COPY . .
# Collecting needs settings that pass production's checks; none of these values is kept.
RUN DJANGO_SETTINGS_MODULE=config.settings.production \
    PUBLIC_BASE_URL=https://build.invalid \
    SECRET_KEY=only-for-collecting-the-static-files-during-this-build-0123456789 \
    DATABASE_URL=postgresql://build@build.invalid/build \
    REDIS_URL=redis://build.invalid \
    EMAIL_URL=smtp://build.invalid \
    /venv/bin/python manage.py collectstatic --noinput

FROM python:3.12-slim-bookworm
# libgomp for onnxruntime, OpenSSL and ALSA for Azure's speech SDK.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libasound2 libgomp1 libssl3 tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin andrea
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    MEDIA_DIR=/media
COPY --from=build /venv /venv
COPY --from=build /app /app
RUN install -d -o andrea -g andrea /media
WORKDIR /app
USER andrea
VOLUME /media
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 \
    CMD ["python", "-m", "config.probe", "http://127.0.0.1:8000/readyz"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "config.serve", "--server", "daphne", "--host", "0.0.0.0", "--port", "8000"]
