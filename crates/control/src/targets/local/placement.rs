use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpSocket;

use super::programs::ProgramId;
use crate::InstanceId;
use crate::instances::{Instance, Reason};

/// What this target keeps about an instance. What is `None` before the instance is made is chosen then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// Its data directory; `data` in its folder unless another is given.
    pub data_dir: Option<PathBuf>,
    /// Where it listens; a free port of this machine unless an address is given.
    pub listen: Option<SocketAddr>,
    /// The program that it runs.
    pub program: Option<ProgramId>,
}

impl Placement {
    /// That of an instance.
    pub fn of(instance: &Instance) -> Result<Self, Reason> {
        let placement = if instance.placement.is_null() {
            Ok(Self::default())
        } else {
            serde_json::from_value(instance.placement.clone())
        };
        placement.map_err(|error| {
            Reason::new(
                format!("the place of the instance cannot be read: {error}"),
                "start the console with the version that made the instance, or delete the instance",
            )
        })
    }

    /// As an instance keeps it.
    pub fn to_value(&self) -> Value {
        // A path that is not Unicode was refused when it was given.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The data directory that an instance was given; `None` for one whose data are in its folder.
    pub(super) fn given_data_dir(&self, id: &InstanceId) -> Option<&Path> {
        let folder = |dir: &Path| dir.parent()?.file_name().map(ToOwned::to_owned);
        self.data_dir.as_deref().filter(|dir| folder(dir).is_none_or(|folder| folder != id.as_str()))
    }

    /// Whether nothing of it is to be chosen any more.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self { data_dir: Some(_), listen: Some(_), program: Some(_) })
    }

    pub(super) fn listen(&self) -> Result<SocketAddr, Reason> {
        self.listen.ok_or_else(unplaced)
    }

    pub(super) fn data_dir(&self) -> Result<&PathBuf, Reason> {
        self.data_dir.as_ref().ok_or_else(unplaced)
    }

    pub(super) fn program(&self) -> Result<&ProgramId, Reason> {
        self.program.as_ref().ok_or_else(unplaced)
    }

    /// The address for programs of this machine.
    pub(super) fn url(&self) -> Result<String, Reason> {
        let listen = self.listen()?;
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok(format!("http://{}", SocketAddr::new(ip, listen.port())))
    }
}

/// Whether a program can listen there now. Does not listen itself: that would keep out a program that begins to meanwhile.
pub(super) fn is_free(address: SocketAddr) -> bool {
    let bind = || -> io::Result<()> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)
    };
    bind().is_ok()
}

fn unplaced() -> Reason {
    Reason::new("the instance was never made completely", "retry its first operation, or delete it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_programs_of_this_machine_is_never_unspecified() {
        for (listen, url) in [
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("0.0.0.0:9", "http://127.0.0.1:9"),
            ("[::]:9", "http://[::1]:9"),
        ] {
            let placement = Placement { listen: Some(listen.parse().unwrap()), ..Placement::default() };
            assert_eq!(placement.url().unwrap(), url);
        }
        assert!(Placement::default().url().is_err());
    }

    #[test]
    fn a_placement_is_kept_as_json_and_ignores_what_is_not_its_own() {
        let placement = Placement {
            data_dir: Some("/data".into()),
            listen: Some("127.0.0.1:8080".parse().unwrap()),
            program: Some("0123456789ab".parse().unwrap()),
        };
        assert_eq!(serde_json::from_value::<Placement>(placement.to_value()).unwrap(), placement);
        let other = serde_json::json!({"source": {"data_dir": "/other"}});
        assert_eq!(serde_json::from_value::<Placement>(other).unwrap(), Placement::default());
    }
}
