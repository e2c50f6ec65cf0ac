//! Answers, and errors in the shapes of the APIs.

use serde_json::{Value, json};

use crate::api::Api;

/// What a method answers: a status and a JSON body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<u64>,
}

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self { status: 200, body, retry_after: None }
    }
}

/// What a method answers, or why it refuses.
pub(crate) type Reply = Result<Answer, Refusal>;

/// A request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    code: u16,
    /// Google's code, such as `NOT_FOUND`.
    status: String,
    /// The reason as Compute, SQL and Aura give it, such as `notFound`.
    reason: String,
    message: String,
    details: Vec<Value>,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(code: u16, status: &str, reason: &str, message: impl Into<String>) -> Self {
        let (status, reason) = (status.to_owned(), reason.to_owned());
        Self { code, status, reason, message: message.into(), details: Vec::new(), retry_after: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", "invalid", message)
    }

    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", "failedPrecondition", message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            401,
            "UNAUTHENTICATED",
            "authError",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
             valid authentication credential.",
        )
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "PERMISSION_DENIED", "forbidden", message)
    }

    pub(crate) fn no_permission(permission: &str, resource: &str) -> Self {
        Self::denied(format!(
            "Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
        ))
        .with_info("IAM_PERMISSION_DENIED", &json!({"permission": permission, "resource": resource}))
    }

    pub(crate) fn not_found(name: &str) -> Self {
        Self::new(404, "NOT_FOUND", "notFound", format!("Resource '{name}' was not found."))
    }

    pub(crate) fn exists(name: &str) -> Self {
        Self::new(409, "ALREADY_EXISTS", "alreadyExists", format!("Resource '{name}' already exists."))
    }

    /// A lost race: what was read before has changed.
    pub(crate) fn aborted() -> Self {
        Self::new(
            409,
            "ABORTED",
            "conditionNotMet",
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        )
    }

    pub(crate) fn quota(message: impl Into<String>) -> Self {
        Self::new(403, "RESOURCE_EXHAUSTED", "quotaExceeded", message)
    }

    pub(crate) fn throttled(retry_after: Option<u64>) -> Self {
        let message = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'.";
        Self { retry_after, ..Self::new(429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", message) }
    }

    /// Adds Google's `ErrorInfo`.
    pub(crate) fn with_info(mut self, reason: &str, metadata: &Value) -> Self {
        self.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": metadata,
        }));
        self
    }

    /// The answer in the shape of an API: Google has two, Aura has its own.
    pub(crate) fn answer(&self, api: Option<Api>) -> Answer {
        let Self { code, status, reason, message, .. } = self;
        let body = match api {
            Some(Api::Aura) if *code == 403 => json!({"error": message}),
            Some(Api::Aura) => json!({"errors": [{"message": message, "reason": reason}]}),
            Some(Api::Sql | Api::Compute) => json!({"error": {
                "code": code,
                "message": message,
                "errors": [{"message": message, "domain": "global", "reason": reason}],
            }}),
            _ => {
                let mut error = json!({"code": code, "message": message, "status": status});
                if !self.details.is_empty() {
                    error["details"] = self.details.clone().into();
                }
                json!({"error": error})
            }
        };
        Answer { status: *code, body, retry_after: self.retry_after }
    }
}
