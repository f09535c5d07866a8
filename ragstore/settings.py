"""Every environment variable ragstore reads. Settings build nothing: the composition root does."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ragstore.errors import ConfigurationError

POSTGRES_SCHEMES = ("postgres://", "postgresql://", "postgresql+asyncpg://")


def check_database_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(POSTGRES_SCHEMES):
        raise ValueError(f"must start with one of {', '.join(POSTGRES_SCHEMES)}")
    return url


def check_header_secret(secret: SecretStr | None) -> SecretStr | None:
    value = secret.get_secret_value() if secret is not None else ""
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise ValueError("must be printable ASCII without spaces around it")
    return secret


DatabaseUrl = Annotated[SecretStr | None, AfterValidator(check_database_url)]
HeaderSecret = Annotated[SecretStr | None, AfterValidator(check_header_secret)]


class Settings(BaseSettings):
    """Read from `RAGSTORE_*` environment variables; `docs/settings.md` is made from the descriptions."""

    model_config = SettingsConfigDict(env_prefix="RAGSTORE_", extra="forbid", populate_by_name=True)

    # where the data is
    database_url: DatabaseUrl = Field(
        default=None,
        description="Postgres to use, `postgresql://…` (`sslmode` understood). Unset: the embedded server.",
    )
    owner_database_url: DatabaseUrl = Field(
        default=None,
        description="The role that owns the tables: migrations, index builds, vacuum. Unset: `RAGSTORE_DATABASE_URL`.",
    )
    app_role: str = Field(
        default="ragstore_app",
        pattern=r"^[a-z_][a-z0-9_]{0,50}$",
        description="Role the service acts as: it owns nothing and sees one tenant at a time. `migrate` makes it.",
    )
    data_dir: Path = Field(default=Path(".ragstore"), description="Embedded database, admin key and server address.")
    memory_mb: int | None = Field(
        default=None,
        ge=64,
        description="Memory the embedded Postgres is sized for, in MB. Unset: half of the machine's memory.",
    )

    # the pool
    pool_size: int = Field(default=5, ge=1, le=500, description="Connections each process keeps open.")
    max_overflow: int = Field(
        default=10,
        ge=0,
        le=500,
        description="Connections a process may open beyond `pool_size`; those that nobody needs are closed.",
    )
    pool_timeout: float = Field(default=30, gt=0, le=600, description="Seconds background work waits for a connection.")
    pool_recycle: int = Field(
        default=1800, ge=-1, description="Seconds after which a connection is replaced; -1 never."
    )
    request_pool_timeout: float = Field(
        default=2.5, gt=0, le=600, description="Seconds a request waits for a connection before it answers 503."
    )
    connect_timeout: float = Field(default=5, gt=0, le=60, description="Seconds to wait for a new connection.")
    statement_timeout: float = Field(
        default=30, gt=0, le=3600, description="Seconds one statement of a request may take."
    )

    # who may ask
    admin_key: SecretStr | None = Field(
        default=None,
        description="Admin key made on a new database. Unset: a random one in `<data dir>/admin.key`, shown once.",
    )

    # what the commands ask
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Service the commands talk to. Unset: the one that runs in `<data dir>`.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key the commands send. Unset: `RAGSTORE_ADMIN_KEY`, then `<data dir>/admin.key`."
    )

    # embeddings
    embedding_model: str = Field(
        default="",
        description="Model of new collections. Empty: `text-embedding-3-small` with an OpenAI key, else `local`.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Key of the embedding provider (no prefix)."
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="Any OpenAI-compatible endpoint, such as `http://127.0.0.1:11434/v1` (no prefix).",
    )
    embedding_timeout: float = Field(default=30, gt=0, le=600, description="Seconds one call to the provider may take.")
    embedding_retries: int = Field(default=2, ge=0, le=10, description="Retries of a failed call to the provider.")
    embedding_batch_texts: int = Field(
        default=128, ge=1, le=2048, description="Most texts in one call to the provider."
    )
    embedding_batch_tokens: int = Field(
        default=100_000, ge=8192, le=300_000, description="Most tokens in one call to the provider."
    )
    embedding_concurrency: int = Field(default=4, ge=1, le=64, description="Calls to the provider under way at once.")
    old_vectors_grace: float = Field(
        default=60, ge=0, le=86400, description="Seconds a model's vectors are kept after another has taken its place."
    )

    # search
    search_candidates: int = Field(
        default=200,
        ge=10,
        le=10_000,
        description="Candidates scored exactly, at least 4 × top_k; half as many of each kind in `text` and `hybrid`.",
    )
    search_text_candidates: int = Field(
        default=3000,
        ge=100,
        le=1_000_000,
        description="Passages scored by words: the rarest words of the query are looked up until they are in so many.",
    )
    bm25_k1: float = Field(default=1.5, ge=0, le=10, description="BM25: how slowly a repeated word adds less.")
    bm25_b: float = Field(default=0.7, ge=0, le=1, description="BM25: how much long passages are held back, 0 to 1.")

    # the reranker
    rerank_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Rerank endpoint, its whole URL, such as `https://api.jina.ai/v1/rerank`. Unset: no reranking.",
    )
    rerank_model: str = Field(
        default="", description="Model the reranker is asked for. Needed, except by text-embeddings-inference."
    )
    rerank_api_key: HeaderSecret = Field(default=None, description="Key of the rerank endpoint, sent as bearer token.")
    rerank_style: Literal["cohere", "voyage", "tei"] = Field(
        default="cohere",
        description="Its request: `cohere` (Jina, vLLM, Infinity, LiteLLM too), `voyage`, or `tei` "
        "(text-embeddings-inference).",
    )
    rerank_timeout: float = Field(
        default=2, gt=0, le=60, description="Seconds a search waits for the reranker before it keeps its own order."
    )
    rerank_candidates: int = Field(
        default=50, ge=1, le=1000, description="How many of the best hits are sent to the reranker."
    )

    # the chat model
    chat_model: str = Field(
        default="", description="Model that answers questions, such as `gpt-4.1-mini`. Empty: no answers, only search."
    )
    chat_base_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Its OpenAI-compatible endpoint, such as `http://127.0.0.1:11434/v1`. Unset: `OPENAI_BASE_URL`.",
    )
    chat_api_key: HeaderSecret = Field(default=None, description="Its key. Unset: `OPENAI_API_KEY`.")
    chat_timeout: float = Field(default=120, gt=0, le=3600, description="Seconds an answer may take, to its last word.")
    chat_retries: int = Field(default=2, ge=0, le=10, description="Retries of a call that failed before its answer.")
    chat_context_tokens: int = Field(
        default=8192, ge=512, le=2_000_000, description="Tokens of a prompt: history and passages together."
    )
    chat_answer_tokens: int = Field(default=1024, ge=16, le=200_000, description="Most tokens of one answer.")
    chat_summaries: bool = Field(
        default=True,
        description="Whether the chat model sums up what no longer fits into a context, in the background.",
    )

    # indexes of large collections
    index_threshold: int = Field(
        default=50_000,
        ge=0,
        description="Chunks from which an HNSW index on a collection's codes is built in the background; 0: always.",
    )
    index_build_memory_mb: int | None = Field(
        default=None,
        ge=16,
        le=65_536,
        description="Most memory of one index build, in MB: about 1 GB for a million chunks, far slower with less. "
        "Unset: the server's `maintenance_work_mem`, at least 512.",
    )
    index_build_workers: int = Field(
        default=0, ge=0, le=64, description="Processes that help with an index build, on machines with cores to spare."
    )

    index_build_quiet: float = Field(
        default=10,
        ge=0,
        le=3600,
        description="A build waits until the collection grows by less than 1 % in so many seconds: imports go first.",
    )

    # background jobs
    run_jobs: bool = Field(
        default=True,
        description="Whether each process of `ragstore serve` runs jobs too; `ragstore worker` always does.",
    )
    job_concurrency: int = Field(default=4, ge=1, le=256, description="Jobs a process runs at once.")
    job_lease: float = Field(
        default=30, ge=0.1, le=3600, description="Seconds after which a job of a worker that died is given to another."
    )
    job_retry_delay: float = Field(
        default=2, gt=0, le=600, description="Seconds before the first retry of a failed job; doubles up to 10 minutes."
    )
    job_patience_hours: float = Field(
        default=24,
        ge=0,
        le=8760,
        description="Hours a job waits for a provider or database that is away, without getting on, until it fails.",
    )
    sweep_interval: float = Field(
        default=300, ge=1, le=86400, description="Seconds between sweeps of what is over: sessions, keys, jobs, caches."
    )
    keep_jobs_days: float = Field(default=7, ge=0, le=3650, description="Days a job is kept after it has ended.")
    keep_keys_days: float = Field(
        default=30, ge=0, le=3650, description="Days an API key is kept after it expired or was revoked."
    )
    keep_embedding_cache_days: float = Field(
        default=30, ge=0, le=3650, description="Days a vector is kept for texts that come again."
    )

    # files
    max_file_bytes: int = Field(
        default=100 * 1024 * 1024,
        ge=1024,
        le=512 * 1024 * 1024,
        description="Most bytes of one upload, all its files together; more is answered 413.",
    )
    parse_memory_mb: int = Field(
        default=1024, ge=256, le=65_536, description="Address space of a process that reads a file, in MB."
    )
    parse_timeout: float = Field(
        default=60, gt=0, le=3600, description="Seconds the reading of one file may take, on the clock and of a CPU."
    )
    parse_concurrency: int = Field(default=2, ge=1, le=64, description="Files a process has read at once.")

    # the service
    max_body_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest request body in bytes; more is answered 413."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`json` lines, `console` for people, `auto`: console on a terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    shutdown_timeout: float = Field(default=20, gt=0, le=600, description="Seconds requests get to finish on shutdown.")

    @model_validator(mode="after")
    def check_owner_has_database(self) -> Self:
        if self.owner_database_url is not None and self.database_url is None:
            raise ValueError("RAGSTORE_OWNER_DATABASE_URL needs RAGSTORE_DATABASE_URL")
        return self

    @model_validator(mode="after")
    def check_reranker_has_model(self) -> Self:
        if self.rerank_url is not None and not self.rerank_model and self.rerank_style != "tei":
            raise ValueError("RAGSTORE_RERANK_URL needs RAGSTORE_RERANK_MODEL")
        return self

    @property
    def default_embedding_model(self) -> str:
        if self.embedding_model:
            return self.embedding_model
        return "text-embedding-3-small" if self.openai_api_key or self.openai_base_url else "local"


def load_settings() -> Settings:
    """Settings of this process. Raises ConfigurationError naming each wrong variable, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_errors(error)) from None


def describe_settings_errors(error: ValidationError) -> str:
    lines = []
    for one in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in one["loc"])
        variable = name if name.isupper() else f"RAGSTORE_{name.upper()}"
        lines.append(f"{variable if name else 'settings'}: {one['msg']}")
    return "; ".join(lines)
