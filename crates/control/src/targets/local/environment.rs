//! The environment of a process: its settings as the variables that `memcloud serve` reads.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::instances::{Connection, Settings};

/// The variables of the settings of an instance. `docs/reference/settings.md` describes each.
pub fn variables(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut keys = settings.own_keys.clone();
    let mut variables = Vec::new();
    if settings.keyless {
        variables.push(("MEMCLOUD_CONSOLE_KEY", settings.key.clone()));
    } else {
        keys.push(settings.key.clone());
    }
    if !keys.is_empty() {
        variables.push(("MEMCLOUD_API_KEYS", keys.join("\n")));
    }
    let mut set = |name, value: Option<&String>| variables.extend(value.map(|value| (name, value.clone())));
    if let Some(neo4j) = &settings.neo4j {
        set("NEO4J_URI", Some(&neo4j.connection_string));
        set("NEO4J_USER", neo4j.username.as_ref());
        set("NEO4J_PASSWORD", neo4j.password.as_ref());
    }
    if let Some(postgres) = &settings.postgres {
        set("DATABASE_URL", Some(&with_user(postgres)));
    }
    if let Some(llm) = &settings.llm {
        set("OPENAI_BASE_URL", llm.base_url.as_ref());
        set("OPENAI_API_KEY", llm.api_key.as_ref());
        set("MEMCLOUD_CHAT_MODEL", Some(&llm.model));
    }
    variables
}

/// The address with the user and the password that are given separately, which win over those in it.
fn with_user(connection: &Connection) -> String {
    let Connection { connection_string, username, password } = connection;
    let Some((scheme, rest)) = connection_string.split_once("://") else { return connection_string.clone() };
    if username.is_none() && password.is_none() {
        return connection_string.clone();
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (inside, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, secret) = inside.split_once(':').map_or((inside, None), |(user, secret)| (user, Some(secret)));
    let encoded = |text: &String| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = username.as_ref().map_or(user.to_owned(), encoded);
    let secret = password.as_ref().map(encoded).or(secret.map(str::to_owned));
    let secret = secret.map(|secret| format!(":{secret}")).unwrap_or_default();
    format!("{scheme}://{user}{secret}@{host}{path}")
}

/// Whether two addresses mean the same database, as far as their text says so.
pub(super) fn same_database(one: &Connection, other: &Connection) -> bool {
    without_user(&one.connection_string) == without_user(&other.connection_string)
}

fn without_user(address: &str) -> &str {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    let host = authority.rfind('@').map_or(0, |position| position + 1);
    address[host..].trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(address: &str, username: Option<&str>, password: Option<&str>) -> Connection {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Connection { connection_string: address.into(), username: owned(username), password: owned(password) }
    }

    #[test]
    fn a_separate_user_and_password_are_in_the_address() {
        for (address, username, password, whole) in [
            ("postgres://h/d", Some("ann"), Some("p@ss/w:rd"), "postgres://ann:p%40ss%2Fw%3Ard@h/d"),
            (
                "postgres://bob:old@h:5/d?sslmode=disable",
                Some("ann"),
                None,
                "postgres://ann:old@h:5/d?sslmode=disable",
            ),
            ("postgres://bob@h/d", None, Some("new"), "postgres://bob:new@h/d"),
            ("postgres:///d?host=/run/pg", Some("ann"), None, "postgres://ann@/d?host=/run/pg"),
            ("postgres://bob:old@h", None, None, "postgres://bob:old@h"),
            ("not an address", Some("ann"), None, "not an address"),
        ] {
            assert_eq!(with_user(&connection(address, username, password)), whole);
        }
    }

    #[test]
    fn the_user_and_the_scheme_do_not_make_another_database() {
        let same = |one, other| same_database(&connection(one, None, None), &connection(other, None, None));
        assert!(same("postgres://ann:a@h:5432/d", "postgresql://bob@h:5432/d"));
        assert!(same("bolt://h:7687", "neo4j://h:7687/"));
        assert!(!same("postgres://ann@h/d", "postgres://ann@h/e"));
    }

    #[test]
    fn what_is_not_given_is_not_set() {
        let settings = Settings { key: "k".into(), ..Settings::default() };
        assert_eq!(variables(&settings), [("MEMCLOUD_API_KEYS", "k".to_owned())]);
        let keyless = Settings { keyless: true, ..settings.clone() };
        assert_eq!(variables(&keyless), [("MEMCLOUD_CONSOLE_KEY", "k".to_owned())]);
        let keyed = Settings { own_keys: vec!["a".into(), "b".into()], ..settings.clone() };
        assert_eq!(variables(&keyed), [("MEMCLOUD_API_KEYS", "a\nb\nk".to_owned())]);
        let neo4j = Some(connection("bolt://h", None, Some("secret")));
        let names: Vec<_> =
            variables(&Settings { neo4j, ..settings }).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["MEMCLOUD_API_KEYS", "NEO4J_URI", "NEO4J_PASSWORD"]);
    }
}
