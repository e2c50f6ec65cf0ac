//! Filters as sets of rows, worked out before ranking.

use memcloud_domain::{Filter, Predicate};

use crate::search::index::{Row, SpaceIndex};
use crate::text::analysis::property;

/// The live rows that pass a filter, ascending. A filter on metadata goes by hashes here; [`Filter::matches`] has the
/// last word on what is answered.
pub(crate) fn rows(index: &SpaceIndex, filter: &Filter) -> Vec<Row> {
    // The rarest property, if the filter has one, saves a scan of all rows.
    let properties = filter.all.iter().filter_map(|predicate| match predicate {
        Predicate::Metadata(key, value) => Some(index.with_property(property(key, value))),
        _ => None,
    });
    let mut properties: Vec<&[Row]> = properties.collect();
    properties.sort_unstable_by_key(|rows| rows.len());
    let mut passing: Vec<Row> = match properties.split_first() {
        None => (0..index.end() as Row).collect(),
        Some((rarest, others)) => rarest
            .iter()
            .copied()
            .filter(|row| others.iter().all(|rows| rows.binary_search(row).is_ok()))
            .collect(),
    };
    if index.len() < index.end() {
        passing.retain(|&row| index.is_live(row));
    }
    for predicate in &filter.all {
        match predicate {
            Predicate::Metadata(..) => {}
            Predicate::Producer(name) => keep_named(&mut passing, index, name, SpaceIndex::producer),
            Predicate::ProducedFor(name) => keep_named(&mut passing, index, name, SpaceIndex::recipient),
            Predicate::Session(name) => keep_named(&mut passing, index, name, SpaceIndex::session),
            Predicate::Kind(name) => keep_named(&mut passing, index, name, SpaceIndex::kind),
            Predicate::Created(range) => passing.retain(|&row| index.happened_in(row, *range)),
        }
    }
    passing
}

fn keep_named(rows: &mut Vec<Row>, index: &SpaceIndex, name: &str, column: impl Fn(&SpaceIndex, Row) -> u32) {
    match index.number_of(name) {
        Some(number) => rows.retain(|&row| column(index, row) == number),
        None => rows.clear(),
    }
}
