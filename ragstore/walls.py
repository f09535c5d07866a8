"""What the service insists on before it answers: the role it acts as cannot reach past row-level security."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ragstore.database import Database
from ragstore.errors import ConfigurationError
from ragstore.sqlstate import find_sqlstate
from ragstore.versions import check_versions

ROLE = text("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
OWNED = text("""
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND pg_has_role(current_user, c.relowner, 'MEMBER')
    ORDER BY 1
""")
REACHED = text("""
    SELECT r.rolname FROM pg_roles r
    WHERE r.rolname <> current_user AND pg_has_role(current_user, r.oid, 'MEMBER')
      AND (r.rolsuper OR r.rolbypassrls OR r.rolname = current_user || '_definer')
    ORDER BY 1
""")
WIDE = text("""
    SELECT p.tablename || '.' || p.policyname FROM pg_policies p
    WHERE p.schemaname = 'public' AND p.permissive = 'PERMISSIVE'
      AND EXISTS (
          SELECT FROM unnest(p.roles) r
          WHERE CASE WHEN r = 'public' THEN true ELSE pg_has_role(current_user, r, 'USAGE') END)
      AND (coalesce(p.qual, 'true') NOT LIKE '%app.tenant%'
           OR p.with_check IS NOT NULL AND p.with_check NOT LIKE '%app.tenant%')
    ORDER BY 1
""")
OPEN = text("""
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND (c.relname = 'tenant' OR EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity
               AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
    ORDER BY 1
""")
ROLE_UNUSABLE = ("22023", "42501", "42704")  # it does not exist, or the login may not act as it


async def check_walls(database: Database) -> None:
    """Raises ConfigurationError naming what is open."""
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(check_connection)
    except DBAPIError as error:
        if find_sqlstate(error) not in ROLE_UNUSABLE:
            raise
        raise ConfigurationError(
            "The database has no role for the service, or this login may not act as it: run `ragstore migrate`"
            " with RAGSTORE_OWNER_DATABASE_URL set to the owner of the tables."
        ) from error


def check_connection(connection: Connection) -> None:
    check_versions(connection)
    name, is_superuser, bypasses = connection.execute(ROLE).one()
    if is_superuser or bypasses:
        what = "is a superuser" if is_superuser else "bypasses row-level security"
        raise ConfigurationError(f"The service acts as {name}, which {what}: tenants would see each other.")
    if reached := connection.scalars(REACHED).all():
        raise ConfigurationError(f"The service acts as {name}, which may become {', '.join(reached)}.")
    if owned := connection.scalars(OWNED).all():
        raise ConfigurationError(
            f"The service acts as {name}, which owns {', '.join(owned)}: give them to another role."
        )
    if wide := connection.scalars(WIDE).all():
        raise ConfigurationError(f"Policies that let tenants see each other: {', '.join(wide)}.")
    if unprotected := connection.scalars(OPEN).all():
        raise ConfigurationError(f"Without forced row-level security: {', '.join(unprotected)}.")
