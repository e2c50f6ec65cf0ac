//! Which conversation a request is about: named in its body, in its headers, or in both.

use axum::http::{HeaderMap, HeaderValue};
use memcloud_api::memmachine_v1;
use memcloud_domain::{Caller, ForeignSpace, Member, Space};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::failure::Failure;
use crate::fields::{Fields, Place, plain};

const DEFAULT: &str = "default";
/// The most users and agents of one session, together.
const MOST_MEMBERS: usize = 1_000;
/// The longest header of an answer that tells which session was meant. Clients and proxies refuse long ones.
const LONGEST_ECHO: usize = 4 * 1024;
/// Each header, with the older spelling that is read when the first is not there.
const GROUP: [&str; 2] = ["group-id", "group_id"];
const SESSION: [&str; 2] = ["session-id", "session_id"];
const AGENTS: [&str; 2] = ["agent-id", "agent_id"];
const USERS: [&str; 2] = ["user-id", "user_id"];

/// A session as a body names it. Everything may be left out; headers of the same names are united with it.
#[derive(ToSchema)]
#[schema(as = Session)]
#[expect(
    dead_code,
    clippy::struct_field_names,
    reason = "describes the fields that `NamedSession::of_body` reads"
)]
pub(crate) struct SessionBody {
    /// Whose memory it is. Nothing is found across groups. Default: the only user, or `default`.
    group_id: Option<String>,
    /// The programs that take part.
    agent_id: Option<Vec<String>>,
    /// The people who take part. Default: `["default"]` where no program takes part either.
    user_id: Option<Vec<String>>,
    /// The conversation. Default: the only user, or `default`.
    session_id: Option<String>,
}

/// A session as headers name it, united with the one in the body. Spellings with an underscore are read too.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the headers that `NamedSession::of_headers` reads")]
pub(crate) struct SessionHeaders {
    /// Whose memory it is; wins over the body unless it is `default`.
    #[param(rename = "group-id")]
    group: Option<String>,
    /// The conversation; wins over the body unless it is `default`.
    #[param(rename = "session-id")]
    session: Option<String>,
    /// Programs that take part, separated by commas.
    #[param(rename = "agent-id")]
    agents: Option<String>,
    /// People who take part, separated by commas.
    #[param(rename = "user-id")]
    users: Option<String>,
}

/// A session that a request names, with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSession {
    pub(crate) group: String,
    pub(crate) name: String,
    /// Sorted.
    pub(crate) users: Vec<String>,
    /// Sorted.
    pub(crate) agents: Vec<String>,
}

impl NamedSession {
    /// The session of a request: what its headers name, united with the `session` of its body.
    pub(crate) fn of_request(headers: &HeaderMap, body: &mut Fields) -> Result<Self, Failure> {
        let named = Self::of_headers(headers)?;
        let session = match Self::of_body(body, None)? {
            Some(session) => session.merged(named),
            None => named,
        };
        session.checked()
    }

    /// The `session` of these fields; `None` when absent or null. One without a group is in the `usual` one.
    pub(super) fn of_body(body: &mut Fields, usual: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(mut fields) = body.nested("session")? else {
            return Ok(None);
        };
        let mut group = fields.text("group_id")?.unwrap_or_default();
        if let (true, Some(usual)) = (group.is_empty(), usual) {
            usual.clone_into(&mut group);
        }
        let agents = fields.texts("agent_id")?;
        let users = fields.texts("user_id")?;
        let name = fields.text("session_id")?.unwrap_or_default();
        Ok(Some(Self::with_defaults(group, name, users, agents)))
    }

    /// What a header of this name says, as UTF-8.
    pub(crate) fn header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Failure> {
        header(headers, [name, name])
    }

    fn of_headers(headers: &HeaderMap) -> Result<Self, Failure> {
        let name =
            |spellings| header(headers, spellings).map(|name| name.unwrap_or_else(|| DEFAULT.to_owned()));
        let list = |spellings| header(headers, spellings).map(|list| names(&list.unwrap_or_default()));
        Ok(Self::with_defaults(name(GROUP)?, name(SESSION)?, list(USERS)?, list(AGENTS)?))
    }

    /// The session of these names, with the defaults of v1 for what is empty.
    pub(crate) fn with_defaults(
        group: String,
        name: String,
        mut users: Vec<String>,
        mut agents: Vec<String>,
    ) -> Self {
        users.sort();
        agents.sort();
        let joined = joined(&users).unwrap_or_else(|| DEFAULT.to_owned());
        let or_joined = |given: String| if given.is_empty() { joined.clone() } else { given };
        let (group, name) = (or_joined(group), or_joined(name));
        if users.is_empty() && agents.is_empty() {
            users.push(DEFAULT.to_owned());
        }
        Self { group, name, users, agents }
    }

    /// This session of a body, with what the headers say: a name there wins unless it is the default one.
    fn merged(mut self, named: Self) -> Self {
        if named.group != DEFAULT {
            self.group = named.group;
        }
        if named.name != DEFAULT {
            self.name = named.name;
        }
        if named.users != [DEFAULT] {
            self.users.extend(named.users);
        }
        self.agents.extend(named.agents);
        for members in [&mut self.users, &mut self.agents] {
            members.sort();
            members.dedup();
        }
        self
    }

    /// Nobody is called nothing, and there are not too many of them.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        let count = self.users.len() + self.agents.len();
        if count > MOST_MEMBERS {
            let msg = format!("there are {count} users and agents; the limit is {MOST_MEMBERS}");
            let hint = "name only who takes part in what is sent; members of a session are remembered";
            let place = Place::body().at("session");
            return Err(place.wrong("value_error", msg, &Value::Null, "too_many_members", hint));
        }
        for (field, members) in [("user_id", &self.users), ("agent_id", &self.agents)] {
            if members.iter().any(String::is_empty) {
                let place = Place::body().at("session").at(field);
                let hint = "leave empty names out";
                return Err(place.wrong(
                    "value_error",
                    "a name is empty",
                    &Value::from(""),
                    "empty_name",
                    hint,
                ));
            }
        }
        Ok(self)
    }

    /// The space of its group, if it is open to the caller.
    pub(crate) fn space(&self, caller: &Caller) -> Result<Space, ForeignSpace> {
        caller.enter(memmachine_v1::space(self.group.as_str()))
    }

    /// Who speaks when nobody is named: the only user, or all of them.
    pub(crate) fn usual_producer(&self) -> String {
        joined(&self.users).unwrap_or_else(|| DEFAULT.to_owned())
    }

    /// Everyone who takes part, as the memory names them.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        let users = self.users.iter().cloned().map(Member::User);
        users.chain(self.agents.iter().cloned().map(Member::Agent))
    }

    /// The headers that tell the caller which session was meant. What no header can carry is left out.
    pub(crate) fn echo(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        let (agents, users) = (self.agents.join(","), self.users.join(","));
        for (name, value) in
            [(GROUP[0], &self.group), (SESSION[0], &self.name), (AGENTS[0], &agents), (USERS[0], &users)]
        {
            let fits = (1..=LONGEST_ECHO).contains(&value.len());
            if let (true, Ok(value)) = (fits, HeaderValue::from_bytes(value.as_bytes())) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// Whether any header names a session.
pub(super) fn is_named(headers: &HeaderMap) -> bool {
    [GROUP, SESSION, AGENTS, USERS].as_flattened().iter().any(|name| headers.contains_key(*name))
}

fn header(headers: &HeaderMap, spellings: [&'static str; 2]) -> Result<Option<String>, Failure> {
    let Some(value) = spellings.iter().find_map(|name| headers.get(*name)) else {
        return Ok(None);
    };
    let place = || Place::header(spellings[0]);
    let Ok(text) = str::from_utf8(value.as_bytes()) else {
        let shown = Value::from(String::from_utf8_lossy(value.as_bytes()));
        let hint = "send the header in UTF-8, or name the session in the body";
        return Err(place().wrong(
            "string_unicode",
            "the header is not UTF-8",
            &shown,
            "invalid_header",
            hint,
        ));
    };
    plain(text.to_owned(), place).map(Some)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The one name for these sorted users: the only one's own, or all as `<length>#<name>` in a row.
fn joined(users: &[String]) -> Option<String> {
    match users {
        [] => None,
        [only] => Some(only.clone()),
        several => {
            let parts: Vec<String> =
                several.iter().map(|user| format!("{}#{user}", user.chars().count())).collect();
            Some(parts.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn named(headers: &[(&'static str, &str)], body: Value) -> NamedSession {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        NamedSession::of_request(&map, &mut Fields::of(body, Place::body()).unwrap()).unwrap()
    }

    fn session(group: &str, name: &str, users: &[&str], agents: &[&str]) -> NamedSession {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        NamedSession { group: group.into(), name: name.into(), users: owned(users), agents: owned(agents) }
    }

    #[test]
    fn fills_in_defaults() {
        assert_eq!(named(&[], json!({})), session("default", "default", &["default"], &[]));
        assert_eq!(named(&[], json!({"session": null})), session("default", "default", &["default"], &[]));
        assert_eq!(
            named(&[], json!({"session": {"user_id": ["bob"]}})),
            session("bob", "bob", &["bob"], &[])
        );
        assert_eq!(
            named(&[], json!({"session": {"user_id": ["u9", "u8"]}})),
            session("2#u82#u9", "2#u82#u9", &["u8", "u9"], &[])
        );
        assert_eq!(
            named(&[], json!({"session": {"agent_id": ["a"]}})),
            session("default", "default", &[], &["a"])
        );
        assert_eq!(named(&[("user-id", "bob")], json!({})), session("default", "default", &["bob"], &[]));
    }

    #[test]
    fn unites_headers_and_body() {
        let body =
            json!({"session": {"group_id": "g", "session_id": "s", "user_id": ["zoe"], "agent_id": ["b"]}});
        assert_eq!(named(&[], body.clone()), session("g", "s", &["zoe"], &["b"]));
        let headers = [("group-id", "other"), ("user_id", " ann , zoe,"), ("agent-id", "a")];
        assert_eq!(named(&headers, body.clone()), session("other", "s", &["ann", "zoe"], &["a", "b"]));
        let usual = [("group-id", "default"), ("session_id", "default"), ("user-id", "default")];
        assert_eq!(named(&usual, body), session("g", "s", &["zoe"], &["b"]));
    }

    #[test]
    fn prefers_the_newer_spelling() {
        assert_eq!(named(&[("group_id", "old"), ("group-id", "new")], json!({})).group, "new");
    }

    #[test]
    fn echoes_what_a_header_can_carry() {
        let echo = session("grün", "line\nbreak", &["a", "b"], &[]).echo();
        assert_eq!(echo["group-id"].as_bytes(), "grün".as_bytes());
        assert_eq!(echo["user-id"], "a,b");
        assert!(!echo.contains_key("session-id") && !echo.contains_key("agent-id"));
    }

    fn some_names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-cü]{1,3}", 0..4)
    }

    proptest! {
        #[test]
        fn the_rules_hold_for_all_names(
            group in "[g-j]{0,2}", head_group in "[g-j]{0,2}", users in some_names(), head_users in some_names(),
            agents in some_names(), head_agents in some_names(),
        ) {
            let body = json!({"session": {"group_id": group, "user_id": users, "agent_id": agents}});
            let (users_line, agents_line) = (head_users.join(", "), head_agents.join(","));
            let mut headers = vec![("user-id", users_line.as_str()), ("agent_id", agents_line.as_str())];
            if !head_group.is_empty() {
                headers.push(("group-id", head_group.as_str()));
            }
            let merged = named(&headers, body);
            // Whoever is named takes part, once, in order.
            for (found, given) in
                [(&merged.users, [&users, &head_users]), (&merged.agents, [&agents, &head_agents])]
            {
                prop_assert!(given.into_iter().flatten().all(|name| found.contains(name)));
                prop_assert!(found.is_sorted_by(|a, b| a < b));
            }
            prop_assert!(!merged.users.is_empty() || !merged.agents.is_empty());
            // A named group wins, the header's first; without one the body's users decide.
            if !head_group.is_empty() {
                prop_assert_eq!(merged.group, head_group);
            } else if !group.is_empty() {
                prop_assert_eq!(merged.group, group);
            } else if let [only] = users.as_slice() {
                prop_assert_eq!(&merged.group, only);
            }
        }
    }
}
