//! Addresses without the users and passwords in them.

/// A text in which no URL has a user or a password.
pub fn without_userinfo(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push_str("://");
        let end = piece.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'));
        let (url, rest) = piece.split_at(end.unwrap_or(piece.len()));
        shown.push_str(host_on(url));
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

#[cfg(test)]
mod tests {
    use super::without_userinfo;

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
}
