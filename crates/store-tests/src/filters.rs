//! Random metadata and random filters that have something in common.

use memcloud_domain::{Attribute, Comparison, Filter, Metadata, Scalar, Test, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::minute;

const KEYS: [&str; 4] = ["a", "b", "when", "o"];

/// Values that are easy to confuse: of different types, near each other, and equal in their first 128 bytes.
fn scalars() -> impl Strategy<Value = Value> {
    let long = |end: &str| json!(format!("{}{end}", "x".repeat(128)));
    prop::sample::select(vec![
        json!(true),
        json!(false),
        json!(0),
        json!(-0.0),
        json!(3),
        json!(3.0),
        json!(3.5),
        json!(-1),
        json!(9_007_199_254_740_992.0),
        json!(9_007_199_254_740_993_i64),
        json!(1_234_567_890_123_456_788_i64),
        json!(1_234_567_890_123_456_789_i64),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("3"),
        json!("true"),
        json!("red"),
        json!("2026-05-08"),
        json!("2026-05-08T14:00:00+02:00"),
        long(""),
        long("a"),
        long("b"),
        json!(format!("{}é", "x".repeat(127))),
        json!("y".repeat(300)),
    ])
}

/// Any metadata: an object with some of four keys, whose values may be objects with the same keys.
pub fn metadata() -> impl Strategy<Value = Metadata> {
    let leaf = prop_oneof![8 => scalars(), 1 => Just(Value::Null), 1 => Just(json!([1, null]))];
    let value = leaf.prop_recursive(2, 6, 3, |inner| {
        prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..3)
            .prop_map(|entries| entries.into_iter().collect())
    });
    let entries = prop::collection::vec((prop::sample::select(&KEYS[..]), value), 0..4);
    entries.prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn attributes() -> impl Strategy<Value = Attribute> {
    let path = prop::collection::vec(prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 1..3);
    prop_oneof![
        8 => path.prop_map(Attribute::Metadata),
        4 => prop::sample::select(vec![
            Attribute::Id,
            Attribute::Session,
            Attribute::Content,
            Attribute::Producer,
            Attribute::Recipient,
            Attribute::Role,
            Attribute::Kind,
            Attribute::CreatedAt,
        ]),
    ]
}

const NAMES: [&str; 6] = ["Ann", "Bob", "session-1", "user", "message", "apple"];

fn literals() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        6 => scalars().prop_filter_map("a scalar", |value| Scalar::of(&value)),
        3 => prop::sample::select(&NAMES[..]).prop_map(Scalar::from),
        2 => (-900..900_i64).prop_map(|n| Scalar::Time(minute(n))),
        1 => Just(Scalar::Time("2026-05-08T12:00:00Z".parse::<Timestamp>().unwrap())),
    ]
}

fn tests() -> impl Strategy<Value = Test> {
    let comparisons = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    prop_oneof![
        6 => (comparisons, literals()).prop_map(|(comparison, scalar)| Test::Compare(comparison, scalar)),
        3 => prop::collection::vec(literals(), 0..4).prop_map(Test::In),
        1 => Just(Test::IsNull),
    ]
}

/// Any filter, up to three levels deep.
pub fn filters() -> impl Strategy<Value = Filter> {
    let condition = (attributes(), tests()).prop_map(|(attribute, test)| Filter::Condition(attribute, test));
    condition.prop_recursive(3, 12, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            several().prop_map(Filter::All),
            several().prop_map(Filter::Any),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}
