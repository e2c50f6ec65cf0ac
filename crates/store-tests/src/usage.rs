//! What every engine must do as a [`UsageLedger`](memcloud_ports::UsageLedger).

use memcloud_ports::{Budget, Charge, Span, Usage};

use crate::Store;
use crate::samples::minute;

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    a_budget_is_never_exceeded(fresh().await).await;
    charges_are_counted_and_corrected(fresh().await).await;
}

/// Concurrent charges never exceed a limit.
pub async fn a_budget_is_never_exceeded(store: Store) {
    let at = minute(0);
    let spend = async |calls, tokens, at, budget: Budget| {
        store.usage.spend(Charge { at, calls, tokens }, &budget).await.unwrap()
    };
    let none = Budget::default();
    let seven = Budget { calls_per_minute: Some(7), ..none };
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            let spending = Charge { at, calls: 1, tokens: 100 };
            tokio::spawn(async move { store.usage.spend(spending, &seven).await.unwrap() })
        })
        .collect();
    let mut passed = 0;
    for attempt in tries {
        passed += usize::from(attempt.await.unwrap().is_none());
    }
    assert_eq!(passed, 7);
    let used = Usage { calls: 7, tokens: 700 };
    assert_eq!(store.usage.usage(at).await.unwrap(), (used, used));
    assert_eq!(spend(1, 0, minute(1), seven).await, None, "another minute");
    let tokens = |minute, day| Budget { tokens_per_minute: Some(minute), tokens_per_day: Some(day), ..none };
    assert_eq!(spend(0, 301, at, tokens(1_000, 5_000)).await, Some(Span::Minute));
    assert_eq!(spend(0, 300, at, tokens(1_000, 5_000)).await, None);
    assert_eq!(spend(0, 1, minute(2), tokens(1_000, 1_000)).await, Some(Span::Day));
    let calls = Budget { calls_per_day: Some(10), ..none };
    assert_eq!(spend(3, 0, minute(2), calls).await, Some(Span::Day), "eight calls are used");
    assert_eq!(spend(2, 0, minute(2), calls).await, None);
    assert_eq!(spend(1_000, 1_000_000, at, none).await, None, "there is no limit");
    assert_eq!(store.usage.usage(minute(2)).await.unwrap().0, Usage { calls: 2, tokens: 0 });
}

/// A correction replaces an estimate. Old counts are deleted.
pub async fn charges_are_counted_and_corrected(store: Store) {
    let spend = async |at| {
        let spending = Charge { at, calls: 2, tokens: 1_000 };
        assert_eq!(store.usage.spend(spending, &Budget::default()).await.unwrap(), None);
    };
    let usage = async |at| store.usage.usage(at).await.unwrap();
    let counted = |calls, tokens| Usage { calls, tokens };
    assert_eq!(usage(minute(0)).await, (Usage::default(), Usage::default()));
    spend(minute(0)).await;
    spend(minute(1)).await;
    store.usage.correct(minute(0), -1, 250).await.unwrap();
    assert_eq!(usage(minute(0)).await, (counted(1, 1_250), counted(3, 2_250)));
    store.usage.correct(minute(0), -9, -1_500).await.unwrap();
    assert_eq!(usage(minute(0)).await, (counted(0, 0), counted(0, 750)), "not below zero");
    // An hour later the minute is deleted, and the day is not.
    spend(minute(62)).await;
    assert_eq!(usage(minute(1)).await, (counted(0, 0), counted(2, 1_750)));
    spend(minute(62 + 402 * 24 * 60)).await;
    assert_eq!(usage(minute(62)).await.1, counted(0, 0));
}
