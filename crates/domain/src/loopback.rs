use std::net::{IpAddr, Ipv6Addr};

/// Whether a host is this machine's own: `localhost`, a name below it, or an address such as `127.0.0.1` or `[::1]`.
pub fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
        return address.is_some_and(|address| address.to_canonical().is_loopback());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name.rsplit('.').next() == Some("localhost") && !name.split('.').any(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_this_machine_are_loopback() {
        for own in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "app.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "::1",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(own), "{own}");
        }
        for foreign in [
            "",
            ".",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "[::1",
            "[127.0.0.1]",
            "[::1]evil",
            "evil@localhost",
            "notlocalhost",
            "..localhost",
            "a..localhost",
        ] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }
}
