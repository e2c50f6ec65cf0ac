use async_trait::async_trait;
use deadpool_postgres::Object;
use memcloud_domain::{Error, Member, Session, Space};
use memcloud_ports::{SessionStore, SessionsOf};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::PostgresStore;
use crate::query::Query;

/// What every read of sessions selects: a row for each member, or one without for a session that has none.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, p.org, p.project, t.name, m.role, m.name FROM memcloud.sessions t ",
            "JOIN memcloud.spaces p ON p.id = t.space LEFT JOIN memcloud.members m ON m.session = t.id ",
            $rest,
            " ORDER BY t.id, m.role, m.name"
        )
    };
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn session(&self, space: &Space, name: &str) -> Result<Option<Session>, Error> {
        let select = select_sessions!("WHERE p.org = $1 AND p.project = $2 AND t.name = $3");
        let found =
            self.select_sessions("reading a session", select, &[&space.org, &space.project, &name]).await?;
        Ok(found.into_iter().next())
    }

    async fn sessions(&self, of: SessionsOf) -> Result<Vec<Session>, Error> {
        const OF_MEMBER: &str = select_sessions!(
            "WHERE p.deleting_org IS NULL
               AND t.id IN (SELECT session FROM memcloud.members WHERE name = $1 AND role = $2)"
        );
        let (select, values): (&str, &[&(dyn ToSql + Sync)]) = match &of {
            SessionsOf::Everyone => (select_sessions!("WHERE p.deleting_org IS NULL"), &[]),
            SessionsOf::Space(Space { org, project }) => {
                (select_sessions!("WHERE p.org = $1 AND p.project = $2"), &[org, project])
            }
            SessionsOf::User(name) => (OF_MEMBER, &[name, &0_i16]),
            SessionsOf::Agent(name) => (OF_MEMBER, &[name, &1_i16]),
        };
        self.select_sessions("listing sessions", select, values).await
    }
}

impl PostgresStore {
    async fn select_sessions(
        &self,
        doing: &'static str,
        select: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Session>, Error> {
        let read = |client: Object| async move { Ok(gathered(&client.rows(select, values).await?)) };
        self.run_idempotent(doing, read).await
    }
}

/// Sessions out of their rows, which come one after the other.
fn gathered(rows: &[Row]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut last = None;
    for row in rows {
        let number: i64 = row.get(0);
        if last != Some(number) {
            last = Some(number);
            let space = Space { org: row.get(1), project: row.get(2) };
            sessions.push(Session { space, name: row.get(3), members: Vec::new() });
        }
        let member = match (row.get::<_, Option<i16>>(4), row.get::<_, Option<String>>(5)) {
            (Some(0), Some(name)) => Member::User(name),
            (Some(_), Some(name)) => Member::Agent(name),
            _ => continue,
        };
        if let Some(session) = sessions.last_mut() {
            session.members.push(member);
        }
    }
    sessions
}
