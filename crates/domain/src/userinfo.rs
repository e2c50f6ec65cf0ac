//! Addresses without the users, passwords and queries in them, which may hold secrets.

/// An address as it may be shown: without a user and a password, and with `…` for its query. It may lack a scheme, as
/// addresses that are refused do.
pub fn shown_address(address: &str) -> String {
    let is_scheme = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let start = match address.split_once("//") {
        Some((before, _)) if is_scheme(before.strip_suffix(':').unwrap_or(before)) => before.len() + 2,
        _ => 0,
    };
    let (scheme, rest) = address.split_at(start);
    format!("{scheme}{}", without_query(host_on(rest)))
}

/// A text in which no URL with a scheme has a user, a password or a query.
pub fn without_userinfo(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push_str("://");
        let end = piece.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'));
        let (url, rest) = piece.split_at(end.unwrap_or(piece.len()));
        shown.push_str(&without_query(host_on(url)));
        shown.push_str(rest);
    }
    shown
}

/// A URL from its host on. A slash, `?` or `#` in a password is an error, but it must not show the password.
fn host_on(url: &str) -> &str {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let host_and_port = authority.rsplit_once(':');
    let whole = match authority.rfind('@') {
        Some(at) => Some(at),
        None if host_and_port.is_some_and(|(_, port)| !is_port(port) && !port.ends_with(']')) => {
            url.rfind('@')
        }
        None => None,
    };
    whole.map_or(url, |at| &url[at + 1..])
}

/// A URL with `…` in place of its query and of what follows it.
fn without_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(before, _)| format!("{before}?…"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_and_passwords_are_left_out_wherever_they_are() {
        for (text, shown) in [
            ("http://ann:secret@there:1/x", "http://there:1/x"),
            ("cannot reach 'postgres://ann:s@cret@db/name'", "cannot reach 'postgres://db/name'"),
            ("http://ann:se/cret@there and https://b@c", "http://there and https://c"),
            ("http://ann:se#cr?et@there", "http://there"),
            ("http://there/a@b", "http://there/a@b"),
            ("http://there:80/a@b", "http://there:80/a@b"),
            ("http://[::1]/a@b ann@example.com", "http://[::1]/a@b ann@example.com"),
            ("no address", "no address"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn a_query_is_left_out() {
        for (text, shown) in [
            ("cannot reach 'http://there/x?api_key=secret#x' now", "cannot reach 'http://there/x?…' now"),
            ("http://ann:secret@there?api_key=a@b", "http://there?…"),
            ("Who is it? http://there", "Who is it? http://there"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn an_address_needs_no_scheme_to_lose_its_password() {
        for (address, shown) in [
            ("ann:secret@127.0.0.1:1", "127.0.0.1:1"),
            ("//ann:secret@there/x", "//there/x"),
            ("ann:se//cret@there", "there"),
            ("ann:se'cr et@there", "there"),
            ("http://ann:se'cr et@there", "http://there"),
            ("there:80/a@b?api_key=secret", "there:80/a@b?…"),
            ("[::1]:80", "[::1]:80"),
            ("", ""),
        ] {
            assert_eq!(shown_address(address), shown);
        }
    }

    proptest! {
        #[test]
        fn no_password_and_no_query_is_shown(
            scheme in prop::sample::select(vec!["", "//", "http://", "postgres://"]),
            before in "[^/?#]{0,8}",
            after in "[^@]{0,8}",
        ) {
            let shown = shown_address(&format!("{scheme}ann:{before}SECRET@there:1/x?key=SECRET{after}"));
            prop_assert_eq!(shown, format!("{scheme}there:1/x?…"));
        }
    }
}
