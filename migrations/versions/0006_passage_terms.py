"""What searching by words needs: the terms of passages, how many passages hold each, and the lengths; metrics."""

import uuid
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from ragstore.columns import SparseVector
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import TermNumbers, count_passages, to_passage_terms
from ragstore.lexical.weighting import saturate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
TABLES = ("passage_terms", "term_count", "term_change")
# Row-level security keeps `@@` from the index, since it is not leakproof. This function checks the tenant itself.
FIND = f"""
CREATE FUNCTION ragstore_find_passages(collection uuid, wanted tsquery, weights sparsevec, most bigint)
RETURNS TABLE (chunk_id uuid, document_id uuid, score double precision)
LANGUAGE plpgsql STABLE ROWS 200 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT t.chunk_id, t.document_id, -(t.weights <#> ragstore_find_passages.weights)
    FROM public.passage_terms t
    WHERE t.tenant_id = {MINE} AND t.collection_id = collection AND t.terms @@ wanted
    ORDER BY 3 DESC, 1 LIMIT most;
END
$$
"""
FIND_NAME = "ragstore_find_passages(uuid, tsquery, sparsevec, bigint)"
BATCH = 500


def upgrade() -> None:
    op.add_column("collection", sa.Column("term_total", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("collection", sa.Column("metric", sa.Text(), server_default=sa.text("'cosine'"), nullable=False))
    op.create_check_constraint(
        op.f("ck_collection_metric"), "collection", "metric IN ('cosine', 'inner_product', 'l2')"
    )
    op.add_column("embedding", sa.Column("norm", sa.REAL(), server_default=sa.text("1"), nullable=False))
    op.drop_index("ix_embedding_code", "embedding")
    include = ["chunk_id", "document_id", "norm", "code"]
    op.create_index(
        "ix_embedding_code", "embedding", ["tenant_id", "collection_id", "model_id"], postgresql_include=include
    )
    op.create_index("ix_embedding_document", "embedding", ["tenant_id", "document_id"])
    create_tables()
    for table in TABLES:
        protect(table)
    create_function()
    index_passages()
    # After the rows: an index built at once is built faster, and better packed.
    op.create_index(
        "ix_passage_terms_terms",
        "passage_terms",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 1024},
    )


def create_tables() -> None:
    op.create_table(
        "passage_terms",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("saturation", sa.REAL(), nullable=False),
        sa.Column("weights", SparseVector(), nullable=False),
        sa.Column("terms", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "chunk_id"],
            ["chunk.tenant_id", "chunk.id"],
            name=op.f("fk_passage_terms_chunk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "chunk_id", name=op.f("pk_passage_terms")),
        postgresql_with={
            "autovacuum_vacuum_insert_scale_factor": 0.05,
            "autovacuum_vacuum_scale_factor": 0.05,
        },
    )
    # Ranking reads the weights of thousands of passages: they stay in the row, the terms may move out of it.
    op.execute("ALTER TABLE passage_terms ALTER COLUMN weights SET STORAGE MAIN")
    op.create_table(
        "term_count",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.Text(collation="C"), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_term_count_collection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "collection_id", "term", name=op.f("pk_term_count")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "term_change",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("terms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("changes", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_term_change_collection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "collection_id", "id", name=op.f("pk_term_change")),
    )


def protect(table: str) -> None:
    app = context.config.attributes["app_role"]
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON {table} USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {app}")


def create_function() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.execute(f"CREATE POLICY across_tenants ON passage_terms TO {definer} USING (true)")
    op.execute(f"GRANT SELECT ON passage_terms TO {definer}")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(FIND)
    op.execute(f"REVOKE ALL ON FUNCTION {FIND_NAME} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {FIND_NAME} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION {FIND_NAME} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def index_passages() -> None:
    """The terms of what is stored already: tenant by tenant, since the owner sees one at a time too."""
    connection = op.get_bind()
    tenants = connection.execute(sa.text("SELECT id FROM ragstore_list_tenants()")).scalars().all()
    for tenant_id in tenants:
        connection.execute(sa.text(f"SET LOCAL app.tenant = '{uuid.UUID(str(tenant_id))}'"))
        collections = connection.execute(
            sa.text("SELECT id, language FROM collection WHERE tenant_id = :tenant_id AND chunk_count > 0"),
            {"tenant_id": tenant_id},
        ).all()
        for collection_id, language in collections:
            index_collection(connection, tenant_id, collection_id, language)
    connection.execute(sa.text("SET LOCAL app.tenant = ''"))


def index_collection(connection: Any, tenant_id: uuid.UUID, collection_id: uuid.UUID, language: str) -> None:
    """The mean length is not known before the end: the one of the first batch serves, as in a first import."""
    key = {"tenant_id": tenant_id, "collection_id": collection_id}
    numbers, analyzer, after, mean = TermNumbers(collection_id), get_analyzer(language), uuid.UUID(int=0), 0.0
    while rows := connection.execute(READ, key | {"after": after, "batch": BATCH}).all():
        texts = [f"{row.title}\n\n{row.content}" if row.title else row.content for row in rows]
        found = [analyzer.terms(text) for text in texts]
        lengths = [analyzer.count_scored(terms) for terms in found]
        mean = mean or max(1.0, sum(lengths) / len(lengths))
        passages = [
            to_passage_terms(terms, numbers, length, saturate(length, mean))
            for terms, length in zip(found, lengths, strict=True)
        ]
        connection.execute(
            WRITE,
            [
                key
                | {"chunk_id": row.id, "document_id": row.document_id, "length": one.length}
                | {"saturation": one.saturation, "terms": one.terms, "weights": (one.indices, one.weights)}
                for row, one in zip(rows, passages, strict=True)
            ],
        )
        counted = count_passages(passages)
        connection.execute(COUNT, key | {"terms": list(counted), "passages": list(counted.values())})
        connection.execute(ADD, key | {"length": sum(one.length for one in passages)})
        after = rows[-1].id


READ = sa.text("""
    SELECT c.id, c.document_id, c.content, d.title
    FROM chunk c JOIN document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id AND c.id > :after
    ORDER BY c.id LIMIT :batch
""")
WRITE = sa.text("""
    INSERT INTO passage_terms
        (tenant_id, chunk_id, collection_id, document_id, length, saturation, weights, terms)
    VALUES (:tenant_id, :chunk_id, :collection_id, :document_id, :length, :saturation, :weights, :terms)
""").bindparams(sa.bindparam("weights", type_=SparseVector()), sa.bindparam("terms", type_=postgresql.TSVECTOR()))
COUNT = sa.text("""
    INSERT INTO term_count (tenant_id, collection_id, term, passages)
    SELECT :tenant_id, :collection_id, u.term, u.passages
    FROM unnest(CAST(:terms AS text[]), CAST(:passages AS integer[])) u(term, passages)
    ON CONFLICT (tenant_id, collection_id, term) DO UPDATE SET passages = term_count.passages + excluded.passages
""")
ADD = sa.text("""
    UPDATE collection SET term_total = term_total + :length WHERE tenant_id = :tenant_id AND id = :collection_id
""")


def downgrade() -> None:
    definer = context.config.attributes["definer_role"]
    op.execute(f"DROP FUNCTION {FIND_NAME}")
    op.execute(f"REVOKE ALL ON passage_terms FROM {definer}")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_embedding_document", "embedding")
    op.drop_index("ix_embedding_code", "embedding")
    include = ["chunk_id", "document_id", "code"]
    op.create_index(
        "ix_embedding_code", "embedding", ["tenant_id", "collection_id", "model_id"], postgresql_include=include
    )
    op.drop_column("embedding", "norm")
    op.drop_constraint(op.f("ck_collection_metric"), "collection")
    op.drop_column("collection", "metric")
    op.drop_column("collection", "term_total")
