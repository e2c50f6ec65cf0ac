//! The one evaluator of filters: from a filter to the rows that pass it. Searches and listings share it.
//!
//! [`Filter::matches`] is the reference. The evaluator narrows a set of rows condition by condition, the most selective
//! first. A condition on metadata is decided once for each different value, by the same [`Test::passes`] as in the reference;
//! equality looks its values up. Rows that the table alone cannot decide (the content, or two texts with the same long
//! beginning) stay candidates, and the caller reads their episodes.

use memcloud_domain::{Attribute, Comparison, Filter, Operand, Scalar, Test, Timestamp};

use crate::search::table::{Name, Property, Row, Table};
use crate::text::properties::{Kept, encode_value, read_value};

/// The rows that may pass a filter.
#[derive(Debug, PartialEq)]
pub(crate) struct Candidates {
    /// Live rows, ascending. No row that passes is missing.
    pub(crate) rows: Vec<Row>,
    /// Whether every row passes. If not, [`Filter::matches`] decides for each.
    pub(crate) exact: bool,
}

/// The rows that may pass a filter.
pub(crate) fn candidates(table: &Table, filter: &Filter) -> Candidates {
    let mut evaluation = Evaluation { table, exact: true };
    let rows = evaluation.narrow(filter, true, None);
    Candidates { rows, exact: evaluation.exact }
}

struct Evaluation<'a> {
    table: &'a Table,
    exact: bool,
}

impl Evaluation<'_> {
    /// The rows of `within` (all live rows when `None`) for which the filter is `wanted`: true or false. A row for which it
    /// is unknown is in neither set.
    fn narrow(&mut self, filter: &Filter, wanted: bool, within: Option<&[Row]>) -> Vec<Row> {
        match (filter, wanted) {
            (Filter::Not(filter), _) => self.narrow(filter, !wanted, within),
            (Filter::All(filters), true) | (Filter::Any(filters), false) => {
                self.narrow_by_all(filters, wanted, within)
            }
            (Filter::Any(filters), true) | (Filter::All(filters), false) => {
                let mut passing = Marks::none(self.table);
                for filter in filters {
                    passing.add(&self.narrow(filter, wanted, within));
                }
                self.keep(within, |row| passing.has(row))
            }
            (Filter::Condition(attribute, test), _) => self.condition(attribute, test, wanted, within),
        }
    }

    fn narrow_by_all(&mut self, filters: &[Filter], wanted: bool, within: Option<&[Row]>) -> Vec<Row> {
        let mut filters: Vec<&Filter> = filters.iter().collect();
        filters.sort_by_cached_key(|filter| self.estimate(filter, wanted));
        let mut passing: Option<Vec<Row>> = None;
        for filter in filters {
            passing = Some(self.narrow(filter, wanted, passing.as_deref().or(within)));
        }
        passing.unwrap_or_else(|| self.keep(within, |_| true))
    }

    /// An upper bound for the number of rows for which a filter is `wanted`, as far as it is known without evaluation.
    fn estimate(&self, filter: &Filter, wanted: bool) -> usize {
        match (filter, wanted) {
            (Filter::Not(filter), _) => self.estimate(filter, !wanted),
            (Filter::All(filters), true) | (Filter::Any(filters), false) => {
                let least = filters.iter().map(|filter| self.estimate(filter, wanted)).min();
                least.unwrap_or(self.table.end())
            }
            (Filter::Any(filters), true) | (Filter::All(filters), false) => {
                filters.iter().map(|filter| self.estimate(filter, wanted)).sum()
            }
            (Filter::Condition(Attribute::Metadata(path), test), true) if is_lookup(test) => {
                let property = self.table.property(path);
                property.map_or(0, |property| looked_up(property, test).map(<[Row]>::len).sum())
            }
            (Filter::Condition(..), _) => self.table.end(),
        }
    }

    fn condition(
        &mut self,
        attribute: &Attribute,
        test: &Test,
        wanted: bool,
        within: Option<&[Row]>,
    ) -> Vec<Row> {
        let table = self.table;
        let passes = |operand: Operand<'_>| test.passes(Some(operand)) == Some(wanted);
        match attribute {
            Attribute::Session => self.named(&table.sessions, test, wanted, within),
            Attribute::Producer => self.named(&table.producers, test, wanted, within),
            Attribute::Recipient => self.named(&table.recipients, test, wanted, within),
            Attribute::Role => self.named(&table.roles, test, wanted, within),
            Attribute::Kind => self.named(&table.kinds, test, wanted, within),
            Attribute::Metadata(path) => self.property(table.property(path), test, wanted, within),
            Attribute::Id => {
                self.keep(within, |row| passes(Operand::Text(&table.ids[row as usize].to_string())))
            }
            Attribute::CreatedAt => {
                let test = test.for_moments();
                self.keep(within, |row| {
                    let moment = Timestamp::from_micros(table.created_at[row as usize]);
                    moment.is_some_and(|moment| test.passes(Some(Operand::Time(moment))) == Some(wanted))
                })
            }
            Attribute::Content => {
                self.exact = false;
                self.keep(within, |_| true)
            }
        }
    }

    /// Decides once for each name.
    fn named(&self, column: &[Name], test: &Test, wanted: bool, within: Option<&[Row]>) -> Vec<Row> {
        if let (Test::Compare(Comparison::Equal, Scalar::Text(name)), true) = (test, wanted) {
            let number = self.table.number_of(name);
            return match number {
                Some(number) => self.keep(within, |row| column[row as usize] == number),
                None => vec![],
            };
        }
        let passes = |name: &str| test.passes(Some(Operand::Text(name))) == Some(wanted);
        let passing: Vec<bool> = self.table.names().map(passes).collect();
        self.keep(within, |row| passing[column[row as usize] as usize])
    }

    /// Decides once for each value of a property.
    fn property(
        &mut self,
        property: Option<&Property>,
        test: &Test,
        wanted: bool,
        within: Option<&[Row]>,
    ) -> Vec<Row> {
        let Some(property) = property else {
            let missing = test.passes(None) == Some(wanted);
            return if missing { self.keep(within, |_| true) } else { vec![] };
        };
        if *test == Test::IsNull {
            let mut present = Marks::none(self.table);
            for rows in property.values() {
                present.add(rows);
            }
            return self.keep(within, |row| present.has(row) != wanted);
        }
        if wanted && is_lookup(test) {
            let beginnings = || test.scalars().iter().filter(|scalar| is_beginning(scalar));
            self.exact &= beginnings().all(|scalar| !property.contains_key(encoded(scalar).as_slice()));
            return self.union(looked_up(property, test), within);
        }
        let mut undecided = false;
        let passing = property.iter().filter(|(value, _)| match read_value(value) {
            Some(Kept::Whole(operand)) => test.passes(Some(operand)) == Some(wanted),
            // A comparison with the beginning gives what one with the whole text would, unless the scalar begins so too.
            Some(Kept::Beginning(text)) if !begins_a_scalar(test, text) => {
                test.passes(Some(Operand::Text(text))) == Some(wanted)
            }
            Some(Kept::Beginning(_)) => {
                undecided = true;
                true
            }
            None => false,
        });
        let passing: Vec<&[Row]> = passing.map(|(_, rows)| rows.as_slice()).collect();
        self.exact &= !undecided;
        self.union(passing.into_iter(), within)
    }

    /// The rows of several disjoint sets.
    fn union<'b>(&self, mut sets: impl Iterator<Item = &'b [Row]>, within: Option<&[Row]>) -> Vec<Row> {
        let Some(first) = sets.next() else { return vec![] };
        let Some(second) = sets.next() else {
            return within.map_or_else(|| first.to_vec(), |within| intersection(first, within));
        };
        let mut passing = Marks::none(self.table);
        [first, second].into_iter().chain(sets).for_each(|rows| passing.add(rows));
        self.keep(within, |row| passing.has(row))
    }

    fn keep(&self, within: Option<&[Row]>, passes: impl Fn(Row) -> bool) -> Vec<Row> {
        match within {
            Some(within) => within.iter().copied().filter(|&row| passes(row)).collect(),
            None => self.table.live_rows().filter(|&row| passes(row)).collect(),
        }
    }
}

/// Whether the values that pass can be looked up: those equal to some scalars that have one encoding.
fn is_lookup(test: &Test) -> bool {
    let equality = matches!(test, Test::Compare(Comparison::Equal, _) | Test::In(_));
    equality && test.scalars().iter().all(|scalar| !matches!(scalar, Scalar::Time(_)))
}

/// The rows of each value that equals a scalar of the test, or may.
fn looked_up<'a>(property: &'a Property, test: &Test) -> impl Iterator<Item = &'a [Row]> {
    let mut values: Vec<Vec<u8>> = test.scalars().iter().map(encoded).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().filter_map(|value| property.get(value.as_slice()).map(Vec::as_slice))
}

fn encoded(scalar: &Scalar) -> Vec<u8> {
    encode_value(match scalar {
        Scalar::Text(text) => Operand::Text(text),
        Scalar::Number(number) => Operand::Number(*number),
        Scalar::Bool(truth) => Operand::Bool(*truth),
        Scalar::Time(moment) => Operand::Time(*moment),
    })
}

/// Whether only the beginning of this scalar would be kept.
fn is_beginning(scalar: &Scalar) -> bool {
    matches!(read_value(&encoded(scalar)), Some(Kept::Beginning(_)))
}

fn begins_a_scalar(test: &Test, beginning: &str) -> bool {
    test.scalars().iter().any(|scalar| matches!(scalar, Scalar::Text(text) if text.starts_with(beginning)))
}

/// The rows that are in both sets. Looks the smaller one's up in the larger.
fn intersection(a: &[Row], b: &[Row]) -> Vec<Row> {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    small.iter().copied().filter(|row| large.binary_search(row).is_ok()).collect()
}

/// A set of rows that is built in any order.
struct Marks(Vec<bool>);

impl Marks {
    fn none(table: &Table) -> Self {
        Self(vec![false; table.end()])
    }

    fn add(&mut self, rows: &[Row]) {
        for &row in rows {
            self.0[row as usize] = true;
        }
    }

    fn has(&self, row: Row) -> bool {
        self.0[row as usize]
    }
}

#[cfg(test)]
mod tests {
    use memcloud_domain::{Episode, Metadata};
    use memcloud_ports::IndexRow;
    use memcloud_store_tests::filters::{filters, metadata};
    use memcloud_store_tests::{episode, space};
    use proptest::prelude::*;

    use super::*;
    use crate::text::analysis::Analysis;

    fn episodes(all: Vec<Metadata>) -> Vec<Episode> {
        let numbered = all.into_iter().zip(0..);
        let episodes = numbered.map(|(metadata, n)| Episode {
            metadata,
            role: ["", "user", "assistant"][n as usize % 3].into(),
            producer: ["Ann", "Bob"][n as usize % 2].into(),
            ..episode(&space("filters"), &format!("session-{}", n % 4), n)
        });
        episodes.collect()
    }

    fn put(table: &mut Table, episode: &Episode) {
        let analysis = Analysis::of(episode);
        let row = IndexRow {
            session: episode.session.clone(),
            producer: episode.producer.clone(),
            produced_for: episode.produced_for.clone(),
            kind: episode.kind.clone(),
            purpose: episode.purpose,
            created_at: episode.created_at.as_micros(),
            vector: None,
            analysis: analysis.encode(),
        };
        assert_eq!(Analysis::decode(&row.analysis), Some(analysis.clone()));
        table.put(episode.id, &row, &analysis);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn candidates_are_the_episodes_that_match(
            all in prop::collection::vec(metadata(), 0..24),
            deleted in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            filter in filters(),
        ) {
            let mut episodes = episodes(all);
            let mut table = Table::default();
            for episode in &episodes {
                put(&mut table, episode);
            }
            for index in deleted.iter().filter(|_| !episodes.is_empty()) {
                table.remove(episodes[index.index(episodes.len())].id);
                table.sweep();
            }
            episodes.retain(|episode| table.live_rows().any(|row| table.ids[row as usize] == episode.id));
            let candidates = candidates(&table, &filter);
            let ids: Vec<_> = candidates.rows.iter().map(|&row| table.ids[row as usize]).collect();
            prop_assert!(ids.iter().all(|id| episodes.iter().any(|episode| episode.id == *id)), "live rows only");
            let decided = episodes.iter().filter(|episode| {
                ids.contains(&episode.id) && (candidates.exact || filter.matches(episode))
            });
            let matching = episodes.iter().filter(|episode| filter.matches(episode));
            prop_assert_eq!(
                decided.map(|episode| episode.id).collect::<Vec<_>>(),
                matching.map(|episode| episode.id).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn only_long_texts_and_the_content_need_the_episode() {
        let mut table = Table::default();
        let long = |end: &str| format!("{}{end}", "x".repeat(200));
        let values = [json(&long("a")), json(&long("b")), json("red")];
        for episode in &episodes(values.into()) {
            put(&mut table, episode);
        }
        let color = || Attribute::Metadata(vec!["color".into()]);
        let found = |filter: Filter| {
            let found = candidates(&table, &filter);
            (found.rows, found.exact)
        };
        assert_eq!(found(Filter::equal(color(), "red")), (vec![2], true));
        assert_eq!(found(Filter::equal(color(), "x".repeat(128))), (vec![], true));
        assert_eq!(found(Filter::equal(color(), long("a"))), (vec![0, 1], false));
        assert_eq!(found(Filter::Not(Box::new(Filter::equal(color(), "red")))), (vec![0, 1], true));
        assert_eq!(found(Filter::equal(Attribute::Content, "red")), (vec![0, 1, 2], false));
    }

    fn json(color: &str) -> Metadata {
        [("color".to_owned(), color.into())].into_iter().collect()
    }
}
