-- Run once, as a superuser (or your provider's administrator), in the new database: the two logins of ragstore.
-- `psql -d ragstore -v ON_ERROR_STOP=1 -f deploy/roles.sql`, with OWNER_PASSWORD and APP_PASSWORD in the environment.
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD

-- pgvector is not a trusted extension: the owner below could not install it.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- Owns the tables; makes the roles `ragstore_app…` and grants the first to the service's login.
CREATE ROLE ragstore_owner LOGIN CREATEROLE PASSWORD :'owner_password';
-- What the service logs in as: it owns nothing, and acts as `ragstore_app`, which sees one tenant at a time.
CREATE ROLE ragstore_login LOGIN PASSWORD :'app_password';

SELECT format('ALTER DATABASE %I OWNER TO ragstore_owner', current_database()) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO ragstore_login', current_database()) \gexec
