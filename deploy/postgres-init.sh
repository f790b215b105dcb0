#!/bin/sh
# Run once, by the image, when the database cluster is new: the only use of the superuser.
# The owner migrates and owns every table; the application's role owns nothing and cannot
# bypass row-level security.
# A password may be in a file: POSTGRES_OWNER_PASSWORD_FILE, POSTGRES_APP_PASSWORD_FILE.
set -eu

owner_password=${POSTGRES_OWNER_PASSWORD:-}
app_password=${POSTGRES_APP_PASSWORD:-}
[ -n "$owner_password" ] || owner_password=$(cat "${POSTGRES_OWNER_PASSWORD_FILE:?or POSTGRES_OWNER_PASSWORD has to be set}")
[ -n "$app_password" ] || app_password=$(cat "${POSTGRES_APP_PASSWORD_FILE:?or POSTGRES_APP_PASSWORD has to be set}")

psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v owner_password="$owner_password" -v app_password="$app_password" <<'SQL'
CREATE ROLE andrea_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB PASSWORD :'owner_password';
CREATE ROLE andrea_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app_password';
CREATE DATABASE andrea OWNER andrea_owner;
REVOKE ALL ON DATABASE andrea FROM PUBLIC;
GRANT CONNECT ON DATABASE andrea TO andrea_app;
\connect andrea
CREATE EXTENSION IF NOT EXISTS vector;
SQL
