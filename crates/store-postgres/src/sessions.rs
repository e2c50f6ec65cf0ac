use std::pin::pin;

use async_trait::async_trait;
use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use memcloud_domain::{Error, Member, Session, Space};
use memcloud_ports::{LISTED_MEMBERS, SessionCursor, SessionPage, SessionRows, SessionStore, SessionsOf};
use tokio_postgres::types::ToSql;

use crate::query::Query;
use crate::read::limited;
use crate::{PostgresStore, removal};

/// What every read of sessions selects: a row for each member, or one without for a session that has none. `$1` is the
/// session to begin after, `$2` the most sessions, `$3` the most members of each.
macro_rules! select_sessions {
    ($condition:literal) => {
        concat!(
            "SELECT t.id, t.org, t.project, t.name, m.role, m.name
             FROM (SELECT s.id, p.org, p.project, s.name FROM memcloud.sessions s
                   JOIN memcloud.spaces p ON p.id = s.space WHERE s.id > $1 AND ",
            $condition,
            " ORDER BY s.id LIMIT $2) t
             LEFT JOIN LATERAL (SELECT role, name FROM memcloud.members WHERE session = t.id
                                ORDER BY role, name LIMIT $3) m ON true
             ORDER BY t.id, m.role, m.name"
        )
    };
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn session(
        &self,
        space: &Space,
        name: &str,
        most_members: usize,
    ) -> Result<Option<Session>, Error> {
        let select = select_sessions!("p.org = $4 AND p.project = $5 AND s.name = $6");
        let values: [&(dyn ToSql + Sync); 6] =
            [&0_i64, &1_i64, &limited(most_members), &space.org, &space.project, &name];
        let mut page = self.select_sessions("reading a session", select, 1, &values).await?;
        Ok(page.sessions.pop())
    }

    async fn members(&self, space: &Space, session: &str, names: &[String]) -> Result<Vec<Member>, Error> {
        let members = |client: Object| async move {
            let select = "SELECT m.role, m.name FROM memcloud.members m
                          JOIN memcloud.sessions s ON s.id = m.session JOIN memcloud.spaces p ON p.id = s.space
                          WHERE p.org = $1 AND p.project = $2 AND s.name = $3 AND m.name = ANY($4)";
            let rows = client.rows(select, &[&space.org, &space.project, &session, &names]).await?;
            Ok(rows.iter().map(|row| member(row.get(0), row.get(1))).collect())
        };
        self.run_idempotent("reading members", members).await
    }

    async fn sessions(
        &self,
        of: &SessionsOf,
        after: Option<SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        const OF_MEMBER: &str = select_sessions!(
            "p.deleting_org IS NULL AND s.id IN (SELECT session FROM memcloud.members WHERE role = $4 AND name = $5)"
        );
        let after = after.map_or(0, |after| after.0);
        let (most, members) = (limited(limit.saturating_add(1)), limited(LISTED_MEMBERS + 1));
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&after, &most, &members];
        let select = match of {
            SessionsOf::Everyone => select_sessions!("p.deleting_org IS NULL"),
            SessionsOf::Space(Space { org, project }) => {
                values.push(org);
                values.push(project);
                select_sessions!("p.org = $4 AND p.project = $5")
            }
            SessionsOf::User(name) => {
                values.push(&0_i16);
                values.push(name);
                OF_MEMBER
            }
            SessionsOf::Agent(name) => {
                values.push(&1_i16);
                values.push(name);
                OF_MEMBER
            }
        };
        self.select_sessions("listing sessions", select, limit, &values).await
    }

    async fn remove_sessions(&self, space: &Space, names: &[String]) -> Result<bool, Error> {
        let remove =
            |mut client| async move { retry_conflicts!(removal::sessions(&mut client, space, names)) };
        self.run_idempotent("removing sessions", remove).await
    }

    async fn remove_person(&self, space: &Space, name: &str) -> Result<bool, Error> {
        let remove = |mut client| async move { retry_conflicts!(removal::person(&mut client, space, name)) };
        self.run("removing a person", remove).await
    }
}

impl PostgresStore {
    /// Gathers sessions out of their rows, which come one after the other, until they are large together.
    async fn select_sessions(
        &self,
        doing: &'static str,
        select: &str,
        limit: usize,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<SessionPage, Error> {
        let read = |client: Object| async move {
            let mut found = pin!(client.stream(select, values).await?);
            let mut rows = SessionRows::new(limit);
            while let Some(row) = found.try_next().await? {
                let place = SessionCursor(row.get(0));
                let space = || Space { org: row.get(1), project: row.get(2) };
                if rows.last() != Some(place) && !rows.add(place, space(), row.get(3)) {
                    break;
                }
                if let (Some(role), Some(name)) = (row.get(4), row.get(5)) {
                    rows.add_member(member(role, name));
                }
            }
            Ok(rows.into_page())
        };
        self.run_idempotent(doing, read).await
    }
}

fn member(role: i16, name: String) -> Member {
    if role == 0 { Member::User(name) } else { Member::Agent(name) }
}
