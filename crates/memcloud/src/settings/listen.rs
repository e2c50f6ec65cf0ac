//! The address of an instance.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;

use memcloud_control::targets::local;

use super::names::{
    CONSOLE_LISTEN, DEFAULT_CONSOLE_LISTEN, DEFAULT_LISTEN, HOST, INSTANCE_LISTEN, INSTANCE_PORTS, LISTEN,
    PORT, Setting,
};
use super::source::Sources;
use crate::failure::Failure;

/// An address to listen on.
#[derive(Clone, Debug)]
pub(crate) struct ListenAddress {
    /// `host:port`.
    pub(crate) text: String,
    /// The flag that names another one.
    pub(crate) flag: &'static str,
    /// The setting that names its host, as the operator knows it, and its value.
    named: (String, String),
}

impl ListenAddress {
    /// The setting that names its host, as the operator knows it.
    pub(crate) fn origin(&self) -> &str {
        &self.named.0
    }

    /// The addresses of the machine that it means; the first that works is used.
    pub(crate) fn resolved(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.text.to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        if found.is_empty() { Err(not_an_address(&self.named)) } else { Ok(found) }
    }
}

/// The address of the first instance of `up`.
pub(crate) fn instance_address(sources: &Sources, flag: Option<&str>) -> ListenAddress {
    of_setting(sources, &INSTANCE_LISTEN, flag, DEFAULT_LISTEN)
}

/// The address of the console of `up`.
pub(crate) fn console_address(sources: &Sources, flag: Option<&str>) -> ListenAddress {
    of_setting(sources, &CONSOLE_LISTEN, flag, DEFAULT_CONSOLE_LISTEN)
}

/// The ports of further instances of `up`.
pub(crate) fn instance_ports(sources: &Sources) -> Result<RangeInclusive<u16>, Failure> {
    let Some(text) = sources.text(&INSTANCE_PORTS, None) else { return Ok(local::PORTS) };
    let parsed =
        text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    parsed.filter(|ports: &RangeInclusive<u16>| !ports.is_empty()).ok_or_else(|| {
        let what = format!("{} is '{text}', which are not two ports", sources.origin(&INSTANCE_PORTS));
        Failure::usage(what, "write the first and the last one, such as 8081-8980")
    })
}

fn of_setting(sources: &Sources, setting: &Setting, flag: Option<&str>, usual: &str) -> ListenAddress {
    let text = sources.text(setting, flag).unwrap_or_else(|| usual.into());
    ListenAddress { named: named(sources, setting, flag, &text), text, flag: setting.flag }
}

/// The address that `serve` listens on. The flag wins. Then come `PORT` of the environment with its `HOST`, as container
/// platforms set them, `MEMCLOUD_LISTEN`, and the settings file. `PORT` alone leaves the host to the others.
///
/// Without `PORT` the variable `HOST` means something else: many systems set it to the name or kind of the machine.
pub(crate) fn serve_address(sources: &Sources, flag: Option<&str>) -> Result<ListenAddress, Failure> {
    if flag.is_some() {
        return assembled(sources, flag, None, None);
    }
    let port = sources.in_environment(&PORT);
    let host = port.as_ref().and_then(|_| sources.in_environment(&HOST));
    let host = host.map(|host| (HOST.name.to_owned(), host));
    if sources.in_environment(&LISTEN).is_some() {
        return assembled(sources, None, host, port);
    }
    let host = host.or_else(|| sources.in_file(&HOST).map(|host| (HOST.in_file(), host)));
    assembled(sources, None, host, port.or_else(|| sources.in_file(&PORT)))
}

/// The address of these parts, which win over those of `MEMCLOUD_LISTEN`. A host comes with the setting that names it.
fn assembled(
    sources: &Sources,
    flag: Option<&str>,
    host: Option<(String, String)>,
    given_port: Option<String>,
) -> Result<ListenAddress, Failure> {
    let listen = sources.text(&LISTEN, flag).unwrap_or_else(|| DEFAULT_LISTEN.into());
    let named_listen = named(sources, &LISTEN, flag, &listen);
    let (listen_host, listen_port) = listen.rsplit_once(':').unwrap_or((&listen, "8080"));
    let port: u16 = match given_port {
        Some(text) => sources.to_port(&PORT, &text)?,
        None => listen_port.parse().map_err(|_| not_an_address(&named_listen))?,
    };
    let (host, named) = match host {
        Some(named) => (named.1.clone(), named),
        None => (listen_host.to_owned(), named_listen),
    };
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    let text = if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Ok(ListenAddress { text, flag: LISTEN.flag, named })
}

/// The place that an address comes from, with its value.
fn named(sources: &Sources, setting: &Setting, flag: Option<&str>, value: &str) -> (String, String) {
    (flag.map_or_else(|| sources.origin(setting), |_| setting.flag.to_owned()), value.to_owned())
}

fn not_an_address((setting, value): &(String, String)) -> Failure {
    let host_alone = [HOST.name.to_owned(), HOST.in_file()].contains(setting);
    Failure::usage(
        format!("{setting} is '{value}', which is not an address to listen on"),
        if host_alone {
            "give an address of this machine, such as 0.0.0.0 or 127.0.0.1, or leave the host out"
        } else {
            "give host:port, such as 127.0.0.1:8080"
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(environment: &[(&str, &str)], file: &str, flag: Option<&str>) -> String {
        serve_address(&Sources::of(environment, file), flag).unwrap().text
    }

    #[test]
    fn the_flag_wins_over_everything() {
        let all = [("HOST", "::"), ("PORT", "7000"), ("MEMCLOUD_LISTEN", "127.0.0.2:9")];
        let file = "host = '0.0.0.0'\nport = 1\nlisten = '127.0.0.3:9'";
        assert_eq!(address(&all, file, Some("127.0.0.1:9000")), "127.0.0.1:9000");
        assert_eq!(address(&[], "", Some("0.0.0.0:9000")), "0.0.0.0:9000");
    }

    #[test]
    fn host_counts_only_together_with_port() {
        assert_eq!(address(&[("HOST", "x86_64-conda-linux-gnu")], "", None), DEFAULT_LISTEN);
        assert_eq!(address(&[("HOST", "::"), ("PORT", "7000")], "", None), "[::]:7000");
        assert_eq!(address(&[("PORT", "7000")], "", None), "127.0.0.1:7000");
    }

    #[test]
    fn the_platforms_port_wins_over_the_image_and_the_image_over_the_file() {
        let image = [("MEMCLOUD_LISTEN", "0.0.0.0:8080")];
        assert_eq!(address(&[image[0], ("PORT", "7000")], "", None), "0.0.0.0:7000");
        assert_eq!(
            address(&image, "host = '127.0.0.9'\nport = 1\nlisten = '127.0.0.3:9'", None),
            "0.0.0.0:8080"
        );
        assert_eq!(address(&[], "host = '127.0.0.9'\nlisten = '127.0.0.3:9'", None), "127.0.0.9:9");
    }

    #[test]
    fn the_platforms_port_leaves_the_host_to_the_image_and_the_file() {
        let (image, port, host) = (("MEMCLOUD_LISTEN", "0.0.0.0:8080"), ("PORT", "7000"), ("HOST", "::"));
        let file = "host = '127.0.0.9'\nport = 1\nlisten = '127.0.0.3:9'";
        for (environment, file, expected) in [
            (&[port][..], "host = '127.0.0.9'", "127.0.0.9:7000"),
            (&[port], "listen = '127.0.0.3:9'", "127.0.0.3:7000"),
            (&[port], file, "127.0.0.9:7000"),
            (&[port, host], file, "[::]:7000"),
            (&[port, image], file, "0.0.0.0:7000"),
            (&[port, host, image], file, "[::]:7000"),
        ] {
            assert_eq!(address(environment, file, None), expected, "{environment:?}");
        }
    }

    #[test]
    fn a_port_that_is_an_address_is_refused_by_name() {
        let sources = Sources::of(&[("PORT", "tcp://10.0.0.9:5432")], "");
        let failure = serve_address(&sources, None).unwrap_err();
        assert!(
            failure.message.starts_with("PORT is 'tcp://10.0.0.9:5432', which is an address"),
            "{failure:?}"
        );
        assert!(failure.hint.contains("enableServiceLinks"), "{failure:?}");
        let sources = Sources::of(&[], "port = 'tcp://10.0.0.9:5432'");
        let failure = serve_address(&sources, None).unwrap_err();
        assert!(
            failure.message.starts_with("'port' in the settings file is 'tcp://10.0.0.9:5432', which is an"),
            "{failure:?}"
        );
        assert!(!failure.hint.contains("Kubernetes"), "{failure:?}");
    }
}
