//! What a caller can do about an error: one hint for each code.

use memcloud_domain::{Database, DatabaseErrorKind};

/// What to do next, in one sentence. The console's errors name no database server.
pub(crate) fn of(code: &str, _database: Option<(Database, DatabaseErrorKind)>) -> &'static str {
    match code {
        // What is wrong with a request.
        "missing_field" => "send this field",
        "unknown_field" => "correct or remove what 'detail' names; nothing was changed",
        "wrong_type" => "send a value of the type that GET /api/openapi.json gives for this field",
        "invalid_json" => "send one JSON object in UTF-8",
        "invalid_query" => "escape it as UTF-8",
        "nul_character" => "remove the NUL character",
        "too_many_values" => "send a smaller body",
        "limit_out_of_range" => "send a whole number in the range that 'detail' gives, or leave it out",
        "invalid_time" => "send RFC 3339, such as 2026-05-08T13:56:00Z; without a zone it is read as UTC",
        "time_in_the_past" => "send a time to come, such as '2030-01-31', or leave it out",
        "repeated_header" | "repeated_parameter" => "send it once; nothing was changed",
        "unknown_transfer_encoding" => "send a Content-Length, or Transfer-Encoding: chunked",
        "unsupported_encoding" => "send the body uncompressed, without Content-Encoding",
        "payload_too_large" => "send less",
        "body_timeout" | "body_incomplete" => "send the whole body, as long as Content-Length says",
        "invalid_name" => "use a name such as 'team-memory'",
        "invalid_value" | "empty_value" | "control_character" | "name_too_long" | "unnamed" => {
            "correct what 'detail' names; nothing was changed"
        }
        "unknown_target" => "use 'local' or 'google'",
        "target_missing" => "start a console with this target, or use 'local'",
        "plan_refused" => "do what 'detail' says for each reason; nothing was made",
        "unknown_topology" => {
            "use 'embedded', 'postgres' or 'neo4j' for 'local' and 'postgres', 'aura', 'vm' or 'gke' for 'google', or leave it out"
        }
        "invalid_project" => {
            "use the id of the project that 'gcloud projects list' shows, such as my-project-123"
        }
        "invalid_region" => "use a region that 'gcloud run regions list' shows, such as europe-west1",
        "invalid_image" => {
            "name an image such as europe-west1-docker.pkg.dev/my-project/memcloud/memcloud:1.0.0"
        }
        "missing_google" => "add 'google' with a region",
        "unwanted_google" => "say 'target': 'google', or leave 'google' out",
        "unknown_aura_tier" => "use 'free', 'professional' or 'business-critical'",
        "invalid_range" => "give an IPv4 range such as 10.10.0.0/24",
        "unknown_data" => "say 'keep' or 'delete'",
        "invalid_connection" => {
            "give the address as it is in the settings of an instance, such as postgres://host:5432/memory"
        }
        "unknown_role" => "use 'owner', 'member' or 'viewer'",
        "no_scopes" | "unknown_scope" => "name 'read', 'write' or 'admin', or several of them",
        "outlives_token" => "end it earlier, or sign in to make one that lives longer",
        "invalid_password" => "choose another password; nothing was changed",
        // Who may call, and what there is.
        "unauthorized" => {
            "send a token as 'Authorization: Bearer <token>'; 'memcloud up' printed the first one"
        }
        "token_expired" => "sign in again, or use another token",
        "token_revoked" => "use another token",
        "wrong_password" => "check the name and the password, or ask an owner for a sign-in link",
        "too_many_passwords" => "wait as long as Retry-After says, or ask an owner for a sign-in link",
        "unknown_link" => "ask an owner for a new link; each works once, for fifteen minutes",
        "forbidden_right" => "use a token with this scope, of a user whose role permits it",
        "forbidden_scope" => "leave this scope out: no token permits more than its maker may do",
        "not_first_organization" => "ask an owner of the organization that was made with the console",
        "forbidden_host" => "call it as localhost or 127.0.0.1",
        "forbidden_origin" => "call it from the console's own pages, or from a program without an Origin",
        "not_found" => "check the id; the lists of the API have all that there are",
        "method_not_allowed" => "the Allow header lists the methods of this route",
        "not_a_session" => "revoke it with DELETE /api/tokens/{id}",
        // What is in the way.
        "name_taken" => "choose another name, or delete the instance that has it",
        "user_exists" => "choose another name",
        "operation_running" => "wait until it has ended, or cancel it",
        "last_owner" => "make another user an owner first",
        // What does not work.
        "instance_refused" => "correct the request as the instance says",
        "instance_unreachable" | "instance_unavailable" => "start the instance, or read its log",
        "secret_unreadable" => "start the console with the key that sealed it among its sealing keys",
        "database_failed" => "send the request again; the console's log says what failed",
        "storage_full" => "free space on that disk; nothing was changed by this request",
        "busy" => "wait as long as Retry-After says",
        "too_many_connections" => "send the request again in a second, or over fewer connections",
        _ => "see the console's log, and report it",
    }
}
