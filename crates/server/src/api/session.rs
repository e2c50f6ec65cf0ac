//! The conversation that a request is about: named in its body, in its headers, or in both.

use std::collections::HashSet;
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue};
use memcloud_api::memmachine_v1::{self, Session};
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::{Caller, Field, ForeignSpace, Member, Space};
use memcloud_memory::Limits;
use utoipa::IntoParams;

use crate::params;

const DEFAULT: &str = "default";
/// The most users and agents of one session, together.
const MAX_MEMBERS: usize = 1_000;
/// The longest header of an answer that names the session. Clients and proxies refuse long ones.
const MAX_ECHO: usize = 4 * 1024;
/// The most bytes of users' names that are joined into one. Names are refused when they are far shorter than this, and
/// every message of a batch has its own copy.
const MAX_JOINED: usize = 4 * 1024;

/// The headers that name a session, each with the older spelling that is read when the first is absent.
#[derive(Debug)]
pub(crate) struct HeaderNames {
    pub(crate) group: [&'static str; 2],
    pub(crate) session: [&'static str; 2],
    pub(crate) users: [&'static str; 2],
    pub(crate) agents: [&'static str; 2],
}

const NAMES: HeaderNames = HeaderNames {
    group: ["group-id", "group_id"],
    session: ["session-id", "session_id"],
    users: ["user-id", "user_id"],
    agents: ["agent-id", "agent_id"],
};

/// A session that headers name, merged with the one in the body. Spellings with an underscore are read too.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the headers that `NamedSession::of_headers` reads")]
pub(crate) struct SessionHeaders {
    /// The group whose memory it is; wins over the body unless it is `default`.
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

/// Whether a request says which conversation it is about, instead of leaving it to the defaults.
pub(crate) fn names_session(headers: &HeaderMap, session: Option<&Session>) -> bool {
    let in_header =
        NAMES.session.iter().any(|name| headers.get(*name).is_some_and(|value| !value.is_empty()));
    in_header || session.is_some_and(|session| !session.session_id.is_empty())
}

/// The field of this session for which a header has another name. A store takes the header's; a deletion must not guess.
pub(crate) fn named_twice(headers: &HeaderMap, session: Option<&Session>) -> Option<&'static str> {
    let session = session?;
    let in_body =
        [(NAMES.group, &session.group_id, "group_id"), (NAMES.session, &session.session_id, "session_id")];
    let differs = |spellings: [&str; 2], name: &str| {
        let header = spellings.iter().find_map(|spelling| headers.get(*spelling));
        header
            .is_some_and(|value| !value.is_empty() && !name.is_empty() && value.as_bytes() != name.as_bytes())
    };
    in_body.into_iter().find_map(|(spellings, name, field)| differs(spellings, name).then_some(field))
}

/// The session of a request, with all defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct NamedSession {
    pub(crate) group: String,
    pub(crate) name: String,
    /// Sorted.
    pub(crate) users: Vec<String>,
    /// Sorted.
    pub(crate) agents: Vec<String>,
    /// The producer of a message that names none, once asked for.
    usual_producer: OnceLock<String>,
    origin: Origin,
}

/// Where the names of a session come from.
#[derive(Clone, Debug)]
struct Origin {
    headers: &'static HeaderNames,
    /// The number of the batch's item whose session it is.
    item: Option<usize>,
    group: Source,
    name: Source,
    /// Users and agents that only headers name.
    members: HashSet<String>,
    in_body: bool,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The field of the body.
    Body,
    /// The users of the body, which stand in for a missing name.
    Users,
    Header,
}

impl NamedSession {
    /// The session of a request: the one that its headers name, merged with the `session` of its body.
    pub(crate) fn of_request(headers: &HeaderMap, session: Option<Session>, problems: &mut Problems) -> Self {
        Self::of_item(headers, session, None, problems)
    }

    /// The same where the session is that of a batch's item.
    pub(crate) fn of_item(
        headers: &HeaderMap,
        session: Option<Session>,
        item: Option<usize>,
        problems: &mut Problems,
    ) -> Self {
        let named = Self::of_headers(headers, problems);
        let session = match session {
            Some(session) => Self::of_body(session, item, problems).merged(named),
            None => named,
        };
        session.check_count(problems);
        session
    }

    /// The session that a body names.
    pub(crate) fn of_body(session: Session, item: Option<usize>, problems: &mut Problems) -> Self {
        for (field, members) in [("user_id", &session.user_id), ("agent_id", &session.agent_id)] {
            let empty = members.iter().flatten().enumerate().filter(|(_, name)| name.is_empty());
            problems.extend(empty.map(|(index, _)| {
                let place = place_of_item(item).at("session").at(field).item(index);
                Problem::new(place, "value_error", "a name is empty", "empty_name")
            }));
        }
        let or_users = |name: &str| if name.is_empty() { Source::Users } else { Source::Body };
        let (group, name) = (or_users(&session.group_id), or_users(&session.session_id));
        let origin = Origin { headers: &NAMES, item, group, name, members: HashSet::new(), in_body: true };
        let (users, agents) = (session.user_id.unwrap_or_default(), session.agent_id.unwrap_or_default());
        Self::with_defaults(session.group_id, session.session_id, users, agents, origin)
    }

    fn of_headers(headers: &HeaderMap, problems: &mut Problems) -> Self {
        let mut text = |spellings| header(headers, spellings, problems);
        let [group, name] =
            [NAMES.group, NAMES.session].map(|s| text(s).unwrap_or_else(|| DEFAULT.to_owned()));
        let [users, agents] = [NAMES.users, NAMES.agents].map(|s| names(&text(s).unwrap_or_default()));
        Self::of_names(group, name, users, agents, &NAMES)
    }

    /// The session of these names, which came in these headers.
    pub(crate) fn of_names(
        group: String,
        name: String,
        users: Vec<String>,
        agents: Vec<String>,
        headers: &'static HeaderNames,
    ) -> Self {
        let members = users.iter().chain(&agents).cloned().collect();
        let source = Source::Header;
        let origin = Origin { headers, item: None, group: source, name: source, members, in_body: false };
        Self::with_defaults(group, name, users, agents, origin)
    }

    /// The session of these names, with the defaults of v1 for those that are empty.
    fn with_defaults(
        group: String,
        name: String,
        mut users: Vec<String>,
        mut agents: Vec<String>,
        origin: Origin,
    ) -> Self {
        users.sort();
        agents.sort();
        let joined = joined(&users).unwrap_or_else(|| DEFAULT.to_owned());
        let or_joined = |given: String| if given.is_empty() { joined.clone() } else { given };
        let (group, name) = (or_joined(group), or_joined(name));
        if users.is_empty() && agents.is_empty() {
            users.push(DEFAULT.to_owned());
        }
        Self { group, name, users, agents, usual_producer: OnceLock::new(), origin }
    }

    /// This session of a body, merged with the headers: a name in a header wins unless it is the default one.
    fn merged(mut self, named: Self) -> Self {
        if named.group != DEFAULT {
            self.group = named.group;
            self.origin.group = Source::Header;
        }
        if named.name != DEFAULT {
            self.name = named.name;
            self.origin.name = Source::Header;
        }
        let only_in_headers = |known: &[String], name: &String| !known.contains(name);
        if named.users != [DEFAULT] {
            self.origin
                .members
                .extend(named.users.iter().filter(|n| only_in_headers(&self.users, n)).cloned());
            self.users.extend(named.users);
        }
        self.origin.members.extend(named.agents.iter().filter(|n| only_in_headers(&self.agents, n)).cloned());
        self.agents.extend(named.agents);
        for members in [&mut self.users, &mut self.agents] {
            members.sort();
            members.dedup();
        }
        self
    }

    /// Refuses too many members.
    pub(crate) fn check_count(&self, problems: &mut Problems) {
        let count = self.users.len() + self.agents.len();
        if count > MAX_MEMBERS {
            let msg = format!("there are {count} users and agents; the limit is {MAX_MEMBERS}");
            problems.push(Problem::new(self.place_in_body(), "value_error", msg, "too_many_members"));
        }
    }

    /// Where one of the session's fields is in the request.
    pub(crate) fn place(&self, field: Field, limits: &Limits) -> Place {
        let (users, agents) = ("user_id", "agent_id");
        match field {
            Field::User => {
                self.place_of_member(&self.users, field, limits, self.origin.headers.users[0], users)
            }
            Field::Agent => {
                self.place_of_member(&self.agents, field, limits, self.origin.headers.agents[0], agents)
            }
            Field::Session => {
                self.place_of_name(self.origin.name, self.origin.headers.session[0], "session_id")
            }
            _ => self.place_of_name(self.origin.group, self.origin.headers.group[0], "group_id"),
        }
    }

    fn place_of_name(&self, source: Source, header: &'static str, field: &'static str) -> Place {
        match source {
            Source::Header => Place::header(header),
            Source::Users => self.place_in_body().at("user_id"),
            Source::Body => self.place_in_body().at(field),
        }
    }

    /// The header where the first name that is refused came in one, else the list in the body.
    fn place_of_member(
        &self,
        members: &[String],
        field: Field,
        limits: &Limits,
        header: &'static str,
        list: &'static str,
    ) -> Place {
        let refused = members.iter().find(|name| limits.check_name(field, name).is_err());
        let in_header = refused.is_some_and(|name| self.origin.members.contains(name));
        if in_header || !self.origin.in_body { Place::header(header) } else { self.place_in_body().at(list) }
    }

    pub(crate) fn place_in_body(&self) -> Place {
        place_of_item(self.origin.item).at("session")
    }

    /// The space of its group, if it is open to the caller.
    pub(crate) fn space(&self, caller: &Caller) -> Result<Space, ForeignSpace> {
        caller.enter(memmachine_v1::space(self.group.as_str()))
    }

    /// The producer of a message that names none: the only user, or all of them.
    pub(crate) fn usual_producer(&self) -> &str {
        self.usual_producer.get_or_init(|| joined(&self.users).unwrap_or_else(|| DEFAULT.to_owned()))
    }

    /// Everyone who takes part, as the memory names them.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        let users = self.users.iter().cloned().map(Member::User);
        users.chain(self.agents.iter().cloned().map(Member::Agent))
    }

    /// The headers of the answer that name the session. A name that no header can carry is left out.
    pub(crate) fn echo(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        let (agents, users) = (self.agents.join(","), self.users.join(","));
        for (name, value) in [
            (NAMES.group[0], &self.group),
            (NAMES.session[0], &self.name),
            (NAMES.agents[0], &agents),
            (NAMES.users[0], &users),
        ] {
            let fits = (1..=MAX_ECHO).contains(&value.len());
            if let (true, Ok(value)) = (fits, HeaderValue::from_bytes(value.as_bytes())) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// The place of a message: an item of a batch, or the body itself.
pub(crate) fn place_of_item(item: Option<usize>) -> Place {
    item.map_or_else(Place::body, |item| Place::body().at("episodes").item(item))
}

/// Whether any header names a session.
pub(crate) fn is_named(headers: &HeaderMap) -> bool {
    let names = [NAMES.group, NAMES.session, NAMES.agents, NAMES.users];
    names.as_flattened().iter().any(|name| headers.contains_key(*name))
}

/// The value of the first of these headers that is there. It must not have several.
pub(crate) fn header(
    headers: &HeaderMap,
    spellings: [&'static str; 2],
    problems: &mut Problems,
) -> Option<String> {
    let name = spellings.into_iter().find(|name| headers.contains_key(*name))?;
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.any(|other| other != value) {
        let msg = "the header is there more than once, with different values";
        problems.push(Problem::new(Place::header(spellings[0]), "value_error", msg, "repeated_header"));
    }
    problems.take(params::header(spellings[0], value))
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// One name for these sorted users: the only one's own, or all as `<length>#<name>` in a row, up to [`MAX_JOINED`].
fn joined(users: &[String]) -> Option<String> {
    match users {
        [] => None,
        [only] => Some(only.clone()),
        several => {
            let mut name = String::new();
            for user in several {
                if name.len() > MAX_JOINED {
                    break;
                }
                name.extend([&user.chars().count().to_string(), "#", user]);
            }
            Some(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    impl PartialEq for NamedSession {
        fn eq(&self, other: &Self) -> bool {
            let all = |s: &Self| (s.group.clone(), s.name.clone(), s.users.clone(), s.agents.clone());
            all(self) == all(other)
        }
    }

    fn named(headers: &[(&'static str, &str)], body: &Value) -> NamedSession {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let session = serde_json::from_value(body["session"].clone()).unwrap();
        Problems::none_in(|problems| Some(NamedSession::of_request(&map, session, problems))).unwrap()
    }

    fn session(group: &str, name: &str, users: &[&str], agents: &[&str]) -> NamedSession {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        NamedSession::of_names(group.into(), name.into(), owned(users), owned(agents), &NAMES)
    }

    #[test]
    fn fills_in_defaults() {
        assert_eq!(named(&[], &json!({})), session("default", "default", &["default"], &[]));
        assert_eq!(named(&[], &json!({"session": null})), session("default", "default", &["default"], &[]));
        assert_eq!(
            named(&[], &json!({"session": {"user_id": ["bob"]}})),
            session("bob", "bob", &["bob"], &[])
        );
        assert_eq!(
            named(&[], &json!({"session": {"user_id": ["u9", "u8"]}})),
            session("2#u82#u9", "2#u82#u9", &["u8", "u9"], &[])
        );
        assert_eq!(
            named(&[], &json!({"session": {"agent_id": ["a"]}})),
            session("default", "default", &[], &["a"])
        );
        assert_eq!(named(&[("user-id", "bob")], &json!({})), session("default", "default", &["bob"], &[]));
    }

    #[test]
    fn unites_headers_and_body() {
        let body =
            json!({"session": {"group_id": "g", "session_id": "s", "user_id": ["zoe"], "agent_id": ["b"]}});
        assert_eq!(named(&[], &body), session("g", "s", &["zoe"], &["b"]));
        let headers = [("group-id", "other"), ("user_id", " ann , zoe,"), ("agent-id", "a")];
        assert_eq!(named(&headers, &body), session("other", "s", &["ann", "zoe"], &["a", "b"]));
        let usual = [("group-id", "default"), ("session_id", "default"), ("user-id", "default")];
        assert_eq!(named(&usual, &body), session("g", "s", &["zoe"], &["b"]));
    }

    #[test]
    fn prefers_the_newer_spelling() {
        assert_eq!(named(&[("group_id", "old"), ("group-id", "new")], &json!({})).group, "new");
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
        fn every_name_obeys_the_rules(
            group in "[g-j]{0,2}", head_group in "[g-j]{0,2}", users in some_names(), head_users in some_names(),
            agents in some_names(), head_agents in some_names(),
        ) {
            let body = json!({"session": {"group_id": group, "user_id": users, "agent_id": agents}});
            let (users_line, agents_line) = (head_users.join(", "), head_agents.join(","));
            let mut headers = vec![("user-id", users_line.as_str()), ("agent_id", agents_line.as_str())];
            if !head_group.is_empty() {
                headers.push(("group-id", head_group.as_str()));
            }
            let merged = named(&headers, &body);
            // Everyone who is named takes part, once, in order.
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
