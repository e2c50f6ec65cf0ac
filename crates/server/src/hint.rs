//! What a caller or an operator of the server can do about an error: one hint for each code.

use memcloud_domain::{Database, DatabaseErrorKind, Error};

/// What to do next, in one sentence.
pub fn hint(error: &Error) -> &'static str {
    match error {
        Error::Database { database, kind, .. } => of(error.code(), Some((*database, *kind))),
        Error::StorageUnreadable { .. } => {
            "keep a copy of the files, and restore a backup: nothing can be read without this part of the database"
        }
        _ => of(error.code(), None),
    }
}

/// The hint for the code of an error, and for this kind of database error.
pub(crate) fn of(code: &str, database: Option<(Database, DatabaseErrorKind)>) -> &'static str {
    match database {
        Some((database, kind)) => database_hint(kind, database),
        None => of_code(code),
    }
}

fn of_code(code: &str) -> &'static str {
    match code {
        // What is wrong with a request.
        "missing_field" => "send this field",
        "session_not_named" | "session_named_twice" => "name one in 'session'; nothing was deleted",
        "unknown_field" => "correct or remove what 'detail' names; nothing was changed",
        "forbidden_proxy" => "give the instance a key and send it, or call it without the proxy",
        "wrong_type" => "send a value of the type that GET /openapi.json gives for this field",
        "invalid_json" => "send one JSON object in UTF-8",
        "invalid_query" | "invalid_path" => "escape it as UTF-8",
        "invalid_header" => {
            "send the header in UTF-8; an idempotency key is one or more ASCII characters, such as a UUID"
        }
        "content_too_long" => "split the text, or raise MEMCLOUD_MAX_CONTENT_BYTES",
        "metadata_too_large" => "send less metadata, or raise MEMCLOUD_MAX_METADATA_BYTES",
        "metadata_too_deep" => "send flatter metadata",
        "too_many_values" => "put long lists into one text each, or send several smaller requests",
        "busy" => "wait as long as Retry-After says, or raise MEMCLOUD_MEMORY_BYTES",
        "caption_too_long" => "shorten the caption, or send it as content",
        "empty_content" => "send what was said",
        "empty_query" => "ask something",
        "empty_name" => "leave empty names out of lists, and name what the request is about",
        "unnamed_key" | "control_character" => "say in a few words what the key is for",
        "nul_character" => "remove the NUL character",
        "description_too_long" => "use a shorter description",
        "name_too_long" => "use a shorter name",
        "invalid_time" => "send RFC 3339, such as 2026-05-08T13:56:00Z; without a zone it is read as UTC",
        "invalid_id" => "use the id from the answer to the store, with or without 'episode-'",
        "invalid_fact_id" => "use the number that is the fact's 'id'",
        "limit_out_of_range" => "send a whole number in the range that 'detail' gives, or leave it out",
        "unknown_filter_key" => {
            "filter on producer_id, produced_for_id, session_id, episode_type or metadata.<key>"
        }
        "invalid_cursor" => "send the next_cursor of the page before, or leave it out to begin",
        "unknown_shape" => "ask for shape=list or shape=memmachine, or leave it out",
        "batch_size_out_of_range" => "send between 1 and 1,000 episodes in one batch",
        "other_group" => "send one batch for each group",
        "too_many_members" => {
            "name only members that take part in what is sent; a session remembers its members"
        }
        "no_messages" => "send at least the user's message",
        "too_many_messages" => "send the last ones: the memory has what was said before",
        "last_not_from_user" => "end with the message to answer, with the role 'user'",
        "unknown_role" => "use 'system', 'user' or 'assistant'; for tools there is POST /v1/chat/completions",
        "not_a_member" => "name producer and produced_for in the session's user_id or agent_id",
        "idempotency_conflict" => "use a new key for a new request",
        "space_deleting" => "send it again when the deletion has ended, or use another space",
        "repeated_header" | "repeated_parameter" => "send it once; nothing was changed",
        "unknown_transfer_encoding" => "send a Content-Length, or Transfer-Encoding: chunked",
        "unsupported_encoding" => "send the body uncompressed, without Content-Encoding",
        "payload_too_large" => "send several smaller requests, or raise MEMCLOUD_MAX_BODY_BYTES",
        "body_timeout" | "body_incomplete" => "send the whole body, as long as Content-Length says",
        // Who may call, and what there is.
        "unauthorized" => "send one of the instance's keys as 'Authorization: Bearer <key>'",
        "key_revoked" => "use another key",
        "key_expired" => "use another key, or make a new one",
        "forbidden_right" => "use a key that has it; 'memcloud keys create' makes one",
        "forbidden_space" => "name a group that the key opens, or use another key",
        "forbidden_host" => "call it as localhost or 127.0.0.1, or give the instance a key",
        "forbidden_origin" => "call it from a page on localhost, or give the instance a key",
        "no_rights" | "unknown_right" => "name 'read', 'write' or 'admin', or several of them",
        "no_spaces" => "name at least one group, or leave 'spaces' out for all",
        "expiry_in_the_past" => {
            "send a time to come, such as '2030-01-31', or leave it out for a key that never expires"
        }
        "first_key_needs_admin" => "make a key with the right 'admin' for all groups first",
        "last_admin_key" => {
            "make another key with the right 'admin' for all groups, or revoke the other keys first"
        }
        "not_found" => "check the id, and name its group as ?group_id=",
        "method_not_allowed" => "the Allow header lists the methods of this route",
        // What is wrong with the memory.
        "other_vector_space" => {
            "run with the model that the data was stored with, or use another data directory"
        }
        code if code.starts_with("storage_") => of_storage(code),
        "episodes_elsewhere" => {
            "set NEO4J_URI as it was when the memory was made; 'memcloud export' and 'import --from' move a memory"
        }
        "store_withdrawn" => "send the request again; nothing was stored",
        "outcome_unknown" => "send the request again under the same Idempotency-Key: it is then stored once",
        "probe_timeout" | "embedding_unavailable" | "embedding_failed" => "run 'memcloud doctor'",
        "too_many_connections" => "send the request again in a second, or over fewer connections",
        "shutting_down" => "send the request again when the server is back",
        // What is wrong with the language model.
        "no_model" => {
            "set OPENAI_API_KEY, or OPENAI_BASE_URL and MEMCLOUD_CHAT_MODEL; storing and searching need no model"
        }
        "model_unreachable" => {
            "check OPENAI_BASE_URL, OPENAI_API_KEY and MEMCLOUD_CHAT_MODEL; 'memcloud doctor' tries them"
        }
        "model_silent" | "model_cut" | "model_unusable" | "model_failed" => {
            "send the request again; 'memcloud doctor' tries the model"
        }
        "model_limit" => "wait as long as Retry-After says, or raise the MEMCLOUD_MODEL_… limits",
        "model_resting" => "wait as long as Retry-After says; 'memcloud doctor' tries the model",
        "model_busy" => "wait as long as Retry-After says",
        "model_key_refused" => "correct OPENAI_API_KEY of the instance",
        "model_unknown" => "correct the model, MEMCLOUD_CHAT_MODEL or OPENAI_BASE_URL",
        "model_refused" => "change the request as the endpoint says",
        "context_overflow" => {
            "send fewer or shorter messages: even without any memory they are more than the model can read"
        }
        _ => "see the server's log, and report it",
    }
}

/// The hint for the code of an error of the data directory.
fn of_storage(code: &str) -> &'static str {
    match code {
        "storage_full" => "free space on that disk, or delete memories; nothing was stored by this request",
        "storage_read_only" => "make the data directory writable for the user that runs memcloud",
        "storage_locked" => "stop the other memcloud, or use another data directory",
        "storage_busy" => "end the transaction of the other program, then send the request again",
        "storage_gone" => "put the data directory back as it was, then send the request again",
        "storage_shortened" => {
            "restart the server, which then says what is missing; put the file back as it was or restore a backup"
        }
        "storage_damaged" => {
            "restore a backup, or copy what can be read with 'memcloud export'; 'memcloud doctor' lists the damage"
        }
        "storage_incomplete" => "put the missing files back or restore a backup; see the guide to backups",
        "storage_newer" => "run the newer memcloud, or use another data directory",
        _ => "see the server's log; 'memcloud doctor' names the broken part",
    }
}

fn database_hint(kind: DatabaseErrorKind, database: Database) -> &'static str {
    use Database::{Neo4j, Postgres};
    use DatabaseErrorKind as Kind;
    match (kind, database) {
        (Kind::Unreachable | Kind::Silent, Neo4j) => {
            "check that Neo4j runs (an Aura instance may be paused) and that NEO4J_URI names it; memcloud retries by itself"
        }
        (Kind::Unreachable | Kind::Silent, Postgres) => {
            "check that PostgreSQL runs and that DB_HOST and DB_PORT (or DATABASE_URL) name it; memcloud retries by itself"
        }
        (Kind::Untrusted, Neo4j) => {
            "name the file of the authority that signed the certificate in NEO4J_CA_FILE, and use the host that the certificate names"
        }
        (Kind::Untrusted, Postgres) => {
            "name the file of the authority that signed the certificate in DB_CA_FILE; on a network that you trust, DB_SSLMODE=disable turns TLS off"
        }
        (Kind::Refused, Neo4j) => "correct NEO4J_USER and NEO4J_PASSWORD",
        (Kind::Refused, Postgres) => "correct DB_USER, DB_PASSWORD and DB_NAME (or DATABASE_URL)",
        (Kind::Exhausted, Neo4j) => "close other connections to Neo4j",
        (Kind::Exhausted, Postgres) => {
            "close other connections to PostgreSQL, lower DB_POOL, or raise its max_connections"
        }
        (Kind::Forbidden, Neo4j) => "let the user of NEO4J_USER write, and create constraints and indexes",
        (Kind::Forbidden, Postgres) => {
            "let the user create in this database: GRANT CREATE ON DATABASE … TO …, and have the owner run CREATE EXTENSION vector"
        }
        (Kind::ReadOnly, Neo4j) => "make the Neo4j database writable again; nothing was stored",
        (Kind::ReadOnly, Postgres) => {
            "point DB_HOST at the primary, or make the PostgreSQL database writable again; nothing was stored"
        }
        (Kind::Full, Neo4j) => {
            "give Neo4j more room, or delete memories (Aura Free holds 200,000 nodes and 400,000 relationships); nothing was stored"
        }
        (Kind::Full, Postgres) => "give the disk of PostgreSQL more room; nothing was stored",
        (Kind::Broken, Neo4j) => {
            "see Neo4j's own log (most often its disk is full: make room), then restart it; nothing was stored"
        }
        (Kind::Broken, Postgres) => "see PostgreSQL's own log, then restart it; nothing was stored",
        (Kind::TooOld | Kind::Lacking, Neo4j) => "use Neo4j 5.23 or newer",
        (Kind::TooOld, Postgres) => "use PostgreSQL 14 or newer with pgvector 0.7 or newer",
        (Kind::Lacking, Postgres) => {
            "install pgvector 0.7 or newer on the PostgreSQL server (on Debian the package postgresql-<version>-pgvector)"
        }
        (Kind::Newer, _) => "run the newer memcloud, or use another database",
    }
}
