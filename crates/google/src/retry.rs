//! What a refusal means and whether the same request is sent again: one table.

use serde_json::Value;

use crate::{Api, Error, ErrorKind};

/// When the same request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Never: it would be refused again, or the caller must do something else.
    Never,
    /// Always: the refusal means that nothing was done, and passes.
    Refused,
    /// If sending it twice has the effect of sending it once: the effect may have come before the failure.
    IfIdempotent,
    /// Right after the change that the refusal waits for.
    WhileSettling,
}

struct Row {
    /// None: every API.
    api: Option<Api>,
    status: u16,
    /// A reason, a status or a part of the message; empty: any.
    sign: &'static str,
    kind: Meaning,
    retry: Retry,
}

#[derive(Clone, Copy)]
enum Meaning {
    NotFound,
    AlreadyExists,
    NameHeld,
    Conflict,
    Busy,
    StillUsed,
    RangesDiffer,
    Forbidden,
    ApiDisabled,
    BillingDisabled,
    QuotaExceeded,
    Throttled,
    Unavailable,
    Unauthenticated,
    Invalid,
}

const fn row(api: Option<Api>, status: u16, sign: &'static str, kind: Meaning, retry: Retry) -> Row {
    Row { api, status, sign, kind, retry }
}

/// The first row that fits counts. Most come from what Google's own Terraform provider and Config Connector do.
const TABLE: &[Row] = {
    use Meaning as M;
    use Retry::{IfIdempotent, Never, Refused, WhileSettling};
    &[
        row(Some(Api::Sql), 400, "instance is not running", M::NotFound, Never),
        row(Some(Api::Sql), 400, "already exists", M::AlreadyExists, Never),
        row(Some(Api::Peering), 400, "Cannot modify allocated ranges", M::RangesDiffer, Never),
        row(None, 400, "still using this connection", M::StillUsed, Never),
        row(None, 400, "resourceInUseByAnotherResource", M::StillUsed, Never),
        row(None, 400, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", M::StillUsed, Never),
        row(Some(Api::Compute), 400, "resourceNotReady", M::Busy, Refused),
        row(Some(Api::Compute), 400, "RESOURCE_NOT_READY", M::Busy, Refused),
        row(None, 400, "BILLING_DISABLED", M::BillingDisabled, Never),
        row(None, 400, "UREQ_PROJECT_BILLING", M::BillingDisabled, Never),
        row(None, 400, "Billing must be enabled", M::BillingDisabled, Never),
        row(None, 400, "does not exist", M::NotFound, WhileSettling),
        row(None, 400, "etag provided", M::Conflict, Never),
        row(None, 400, "", M::Invalid, Never),
        row(None, 401, "", M::Unauthenticated, Never),
        row(None, 403, "Quota exceeded for quota metric", M::Throttled, Refused),
        row(None, 403, "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", M::Throttled, Refused),
        row(None, 403, "rateLimitExceeded", M::Throttled, Refused),
        row(None, 403, "QUOTA_EXCEEDED", M::QuotaExceeded, Never),
        row(None, 403, "quotaExceeded", M::QuotaExceeded, Never),
        row(None, 403, "SERVICE_DISABLED", M::ApiDisabled, WhileSettling),
        row(None, 403, "accessNotConfigured", M::ApiDisabled, WhileSettling),
        row(None, 403, "BILLING_DISABLED", M::BillingDisabled, Never),
        row(None, 403, "billing", M::BillingDisabled, Never),
        row(None, 403, "", M::Forbidden, WhileSettling),
        row(None, 404, "", M::NotFound, WhileSettling),
        row(None, 408, "", M::Unavailable, IfIdempotent),
        row(Some(Api::Sql), 409, "instanceAlreadyExists", M::NameHeld, Never),
        row(None, 409, "ALREADY_EXISTS", M::AlreadyExists, Never),
        row(None, 409, "alreadyExists", M::AlreadyExists, Never),
        row(None, 409, "AlreadyExists", M::AlreadyExists, Never),
        row(Some(Api::Sql), 409, "", M::Busy, Refused),
        row(Some(Api::Aura), 409, "ongoing-database-operation", M::Busy, Refused),
        row(None, 409, "", M::Conflict, Never),
        row(None, 412, "", M::Conflict, Never),
        row(None, 429, "", M::Throttled, Refused),
    ]
};

/// A refusal as the APIs write it, in one of three forms.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// The words for machines: status, reasons, codes.
    pub(crate) reasons: Vec<String>,
    /// The permission that the details name.
    permission: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer. A body in no known form is a refusal without reasons.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut refusal = Self { status, ..Self::default() };
        match &body["error"] {
            Value::String(text) => refusal.message.clone_from(text),
            error => {
                refusal.say(&error["message"]);
                refusal.reason(&error["status"]);
                refusal.add(&error["errors"]);
                refusal.add(&error["details"]);
            }
        }
        // Aura, and tokens.
        refusal.add(&body["errors"]);
        refusal.say(&body["error_description"]);
        refusal
    }

    /// Reads the error that an operation ended with.
    pub(crate) fn of_operation(error: &Value, http_status: Option<u16>) -> Self {
        let (status, name) = match error["code"].as_i64() {
            Some(3) => (400, "INVALID_ARGUMENT"),
            Some(5) => (404, "NOT_FOUND"),
            Some(6) => (409, "ALREADY_EXISTS"),
            Some(7) => (403, "PERMISSION_DENIED"),
            Some(8) => (429, "RESOURCE_EXHAUSTED"),
            Some(9) => (400, "FAILED_PRECONDITION"),
            Some(10) => (409, "ABORTED"),
            _ => (http_status.unwrap_or(400), ""),
        };
        let mut refusal = Self { status, reasons: vec![name.to_owned()], ..Self::default() };
        refusal.say(&error["message"]);
        refusal.add(&error["errors"]);
        refusal.add(&error["details"]);
        refusal
    }

    fn say(&mut self, message: &Value) {
        if let Some(message) = message.as_str().filter(|_| self.message.is_empty()) {
            message.clone_into(&mut self.message);
        }
    }

    fn reason(&mut self, reason: &Value) {
        self.reasons.extend(reason.as_str().map(str::to_owned));
    }

    fn add(&mut self, entries: &Value) {
        for entry in entries.as_array().into_iter().flatten() {
            self.say(&entry["message"]);
            self.reason(&entry["reason"]);
            self.reason(&entry["code"]);
            if let Some(permission) = entry["metadata"]["permission"].as_str() {
                self.permission = Some(permission.to_owned());
            }
        }
    }

    fn shows(&self, sign: &str) -> bool {
        self.message.contains(sign) || self.reasons.iter().any(|reason| reason.contains(sign))
    }

    /// What it means for a request to this API.
    pub(crate) fn meaning(&self, api: Api) -> (Error, Retry) {
        let fits = |row: &&Row| {
            row.status == self.status && row.api.is_none_or(|of| of == api) && self.shows(row.sign)
        };
        let (meaning, retry) = match TABLE.iter().find(fits) {
            Some(row) => (row.kind, row.retry),
            None if self.status >= 500 => (Meaning::Unavailable, Retry::IfIdempotent),
            None => (Meaning::Invalid, Retry::Never),
        };
        let kind = self.kind(meaning);
        let hint = hint(&kind, api);
        (Error::new(kind, self.sentence(api), hint), retry)
    }

    fn sentence(&self, api: Api) -> String {
        let reason = self.reasons.iter().find(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let message = self.message.trim().trim_end_matches('.');
        let message = if message.is_empty() { "no explanation" } else { message };
        format!("{api} refused ({}{reason}): {message}", self.status)
    }

    fn kind(&self, meaning: Meaning) -> ErrorKind {
        match meaning {
            Meaning::NotFound => ErrorKind::NotFound,
            Meaning::AlreadyExists => ErrorKind::AlreadyExists,
            Meaning::NameHeld => ErrorKind::NameHeld,
            Meaning::Conflict => ErrorKind::Conflict,
            Meaning::Busy => ErrorKind::Busy,
            Meaning::StillUsed => ErrorKind::StillUsed,
            Meaning::RangesDiffer => ErrorKind::RangesDiffer,
            Meaning::Forbidden => ErrorKind::Forbidden { permission: self.permission() },
            Meaning::ApiDisabled => ErrorKind::ApiDisabled,
            Meaning::BillingDisabled => ErrorKind::BillingDisabled,
            Meaning::QuotaExceeded => ErrorKind::QuotaExceeded,
            Meaning::Throttled => ErrorKind::Throttled,
            Meaning::Unavailable => ErrorKind::Unavailable,
            Meaning::Unauthenticated => ErrorKind::Unauthenticated,
            Meaning::Invalid => ErrorKind::Invalid,
        }
    }

    /// The permission that is missing: from the details, or the first word of the message that looks like one.
    fn permission(&self) -> Option<String> {
        let looks_like_one = |word: &&str| {
            let dots = word.split('.').filter(|part| part.chars().all(char::is_alphanumeric)).count();
            dots >= 3 && word.split('.').all(|part| !part.is_empty()) && word.starts_with(char::is_lowercase)
        };
        let words = self.message.split(|c: char| !(c.is_alphanumeric() || c == '.'));
        let word = words.map(|word| word.trim_end_matches('.')).find(looks_like_one);
        // Hosts and addresses of accounts have dots as well.
        let is_host = |word: &&str| word.contains("googleapis") || word.contains("gserviceaccount");
        let word = word.filter(|word| !is_host(word));
        self.permission.clone().or_else(|| word.map(str::to_owned))
    }
}

/// What to do about a refusal.
fn hint(kind: &ErrorKind, api: Api) -> String {
    match kind {
        ErrorKind::NotFound => "check the name, the project and the region".into(),
        ErrorKind::AlreadyExists => "choose another name, or delete what has this one".into(),
        ErrorKind::NameHeld => "choose another name: a deleted one stays blocked for about a week".into(),
        ErrorKind::Conflict => "another caller changed it at the same time: retry".into(),
        ErrorKind::Busy => "wait until the other operation has ended, and retry".into(),
        ErrorKind::StillUsed => "delete what uses it first, or retry later".into(),
        ErrorKind::RangesDiffer => "update the connection instead of creating it".into(),
        ErrorKind::Forbidden { .. } if api == Api::Aura => {
            "check that the Aura API key belongs to a user who may manage instances of this project".into()
        }
        ErrorKind::Forbidden { permission: Some(permission) } => match role_with(permission) {
            Some(role) => format!("grant the caller a role with {permission}, such as {role}"),
            None => format!("grant the caller a role with {permission}"),
        },
        ErrorKind::Forbidden { permission: None } => {
            "grant the caller the missing role; `memcloud plan --roles` lists what is needed".into()
        }
        ErrorKind::ApiDisabled => format!("enable it: gcloud services enable {}", api.host()),
        ErrorKind::BillingDisabled => "link a billing account to the project".into(),
        ErrorKind::QuotaExceeded => {
            "ask for more quota in the console of Google Cloud, or delete something".into()
        }
        ErrorKind::Throttled => "wait a minute and retry".into(),
        ErrorKind::Unavailable => "retry in a few minutes".into(),
        ErrorKind::Unauthenticated if api == Api::Aura => "check the Aura client id and secret".into(),
        ErrorKind::Unauthenticated => "sign in again: gcloud auth application-default login".into(),
        _ => "correct the request".into(),
    }
}

/// A predefined role that has a permission.
fn role_with(permission: &str) -> Option<&'static str> {
    const ROLES: &[(&str, &str)] = &[
        ("run.", "roles/run.admin"),
        ("cloudsql.", "roles/cloudsql.admin"),
        ("secretmanager.", "roles/secretmanager.admin"),
        ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"),
        ("iam.serviceAccounts.", "roles/iam.serviceAccountAdmin"),
        ("resourcemanager.projects.", "roles/resourcemanager.projectIamAdmin"),
        ("serviceusage.", "roles/serviceusage.serviceUsageAdmin"),
        ("compute.", "roles/compute.admin"),
        ("servicenetworking.", "roles/servicenetworking.networksAdmin"),
        ("vpcaccess.", "roles/vpcaccess.admin"),
        ("container.", "roles/container.admin"),
        ("artifactregistry.", "roles/artifactregistry.admin"),
    ];
    ROLES.iter().find(|(prefix, _)| permission.starts_with(prefix)).map(|(_, role)| *role)
}
