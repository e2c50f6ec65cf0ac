//! What every engine must do as a [`FactStore`](memcloud_ports::FactStore).

use half::f16;
use memcloud_domain::{EpisodeId, Fact, FactId, FactScope, FactSet, FactTarget, Metadata, Space};
use memcloud_ports::{
    EpisodesOf, FactChanges, FactSets, FactsOf, NewFact, Outcome, Queued, Revision, RevisionSet, delete_all,
};
use serde_json::json;

use crate::Store;
use crate::learned::{
    LATER, add_fact, all_facts, claim, current_facts, fact, pet, profile, read_facts, revise, revision_set,
    store_messages, values,
};
use crate::samples::{batch, minute, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    facts_are_added_and_gain_citations(fresh().await).await;
    facts_are_replaced_and_retired(fresh().await).await;
    facts_are_merged(fresh().await).await;
    facts_are_read_by_owner_category_and_time(fresh().await).await;
    deleted_messages_delete_their_facts(fresh().await).await;
    facts_need_an_existing_citation(fresh().await).await;
    spaces_learn_separately(fresh().await).await;
    facts_and_queue_can_be_copied(fresh().await, fresh().await).await;
    facts_are_made_by_hand(fresh().await).await;
    facts_of_an_organization_cite_all_its_spaces(fresh().await).await;
}

/// A fact is read back as it was given. Adding it again only adds citations.
pub async fn facts_are_added_and_gain_citations(store: Store) {
    let space = space("added");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let taken = claim(&store, 100).await.unwrap();
    let twice = vec![Revision::Add(pet("Tom", 3, &ids[3..4])), Revision::Add(pet("Tom", 9, &ids[..1]))];
    assert!(store.learning.learn(&taken, &revision_set(&space, 100, twice)).await.unwrap());
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0);
    let facts = store.facts.facts(&FactsOf::space(&space)).await.unwrap();
    assert_eq!(facts.len(), 1);
    let expected = Fact {
        id: FactId::from_number(minute(100).as_micros()),
        target: profile(&space, "ann"),
        tag: "Pets".into(),
        name: "cat".into(),
        value: "Tom".into(),
        metadata: Metadata::new(),
        citations: vec![ids[0], ids[3]],
        valid_from: minute(3),
        valid_to: None,
        learned_at: minute(100),
        prompt: "profile/1".into(),
        model: "a/model".into(),
    };
    assert_eq!(facts[0].fact, expected);
    assert_eq!(facts[0].vector, Some([0.6, 0.8].map(f16::from_f32).to_vec()));
    let again = |ids: &[EpisodeId]| vec![Revision::Add(NewFact { vector: None, ..pet("Tom", 9, ids) })];
    assert_eq!(revise(&store, &space, 101, again(&ids[5..6])).await, 1);
    assert_eq!(revise(&store, &space, 101, again(&ids[5..6])).await, 0, "nothing new");
    let citations = vec![ids[0], ids[3], ids[5]];
    assert_eq!(current_facts(&store, &space).await, [Fact { citations, ..expected }]);
    let others = NewFact { vector: None, ..pet("Mia", 4, &ids[4..5]) };
    // The clock has stopped or was set back: ids still grow.
    assert_eq!(revise(&store, &space, 100, vec![Revision::Add(others)]).await, 1);
    let facts = store.facts.facts(&FactsOf::space(&space)).await.unwrap();
    assert_eq!(facts[1].fact.id.number(), facts[0].fact.id.number() + 1);
    assert_eq!(facts[1].vector, None);
}

/// A replaced fact ends when the new one begins, and both are kept.
pub async fn facts_are_replaced_and_retired(store: Store) {
    let space = space("replaced");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let replace = |old, new| vec![Revision::Replace { old, new }];
    let tom = add_fact(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    assert_eq!(revise(&store, &space, LATER, replace(tom, pet("Mia", 9, &ids[9..10]))).await, 1);
    assert_eq!(fact(&store, tom).await.valid_to, Some(minute(9)));
    let mia = current_facts(&store, &space).await[0].clone();
    assert_eq!((mia.value.as_str(), mia.valid_from), ("Mia", minute(9)));
    // An older message that is learned from later states an earlier fact, and ends nothing.
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Leo", 7, &ids[7..8]))).await, 1);
    assert_eq!(fact(&store, mia.id).await.valid_to, None);
    let leo = all_facts(&store).await.pop().unwrap().fact;
    assert_eq!(
        (leo.value.as_str(), leo.valid_from, leo.valid_to),
        ("Leo", minute(7), Some(minute(9))),
        "until the current fact began"
    );
    // Replacing a fact that has ended adds the new one.
    assert_eq!(revise(&store, &space, LATER, replace(tom, pet("Zoe", 11, &ids[11..12]))).await, 1);
    assert_eq!(values(&current_facts(&store, &space).await), ["Mia", "Zoe"]);
    assert_eq!(fact(&store, tom).await.valid_to, Some(minute(9)), "an ended fact stays ended");
    // Replacing a fact with itself only adds citations; with another current fact, that one gains them.
    let [mia, zoe] = current_facts(&store, &space).await.try_into().unwrap();
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Mia", 12, &ids[12..13]))).await, 1);
    assert_eq!(fact(&store, mia.id).await.citations, [ids[9], ids[12]]);
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Zoe", 13, &ids[13..14]))).await, 1);
    let left = current_facts(&store, &space).await;
    assert_eq!((left.len(), left[0].id, left[0].citations.as_slice()), (1, zoe.id, &[ids[11], ids[13]][..]));
    let retire = |at| vec![Revision::Retire { old: zoe.id, at: minute(at) }];
    assert_eq!(revise(&store, &space, LATER, retire(4)).await, 1);
    assert_eq!(fact(&store, zoe.id).await.valid_to, Some(minute(11)), "not before it began");
    assert_eq!(revise(&store, &space, LATER, retire(20)).await, 0, "it has ended already");
    assert!(current_facts(&store, &space).await.is_empty());
    assert_eq!(all_facts(&store).await.len(), 4, "nothing is lost");
}

/// Merged facts hand over their citations. All of them must be current and belong to the profile.
pub async fn facts_are_merged(store: Store) {
    let space = space("merged");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let tom = add_fact(&store, &space, pet("Tom", 3, &ids[3..5])).await;
    let tomcat = add_fact(&store, &space, pet("Tom the cat", 8, &ids[4..6])).await;
    let gone = add_fact(&store, &space, pet("Mia", 1, &ids[1..2])).await;
    revise(&store, &space, LATER, vec![Revision::Retire { old: gone, at: minute(2) }]).await;
    let bobs = RevisionSet {
        target: profile(&space, "bob"),
        ..revision_set(&space, LATER, vec![Revision::Add(pet("Rex", 1, &ids[1..2]))])
    };
    store.facts.revise(&bobs).await.unwrap();
    let bobs = current_facts(&store, &space).await.last().unwrap().id;
    let merge = |old: &[FactId]| vec![Revision::Merge { old: old.to_vec(), new: pet("A cat, Tom", 99, &[]) }];
    let unknown = FactId::from_number(1);
    for impossible in [&[][..], &[tom], &[tom, tom], &[tom, gone], &[tom, bobs], &[tom, tomcat, unknown]] {
        assert_eq!(revise(&store, &space, LATER, merge(impossible)).await, 0, "{impossible:?}");
    }
    assert_eq!(revise(&store, &space, LATER, merge(&[tomcat, tom])).await, 1);
    let merged = current_facts(&store, &space).await.last().unwrap().clone();
    assert_eq!((merged.value.as_str(), merged.valid_from, merged.valid_to), ("A cat, Tom", minute(8), None));
    assert_eq!(merged.citations, ids[3..6]);
    for old in [tom, tomcat] {
        assert_eq!(fact(&store, old).await.valid_to, Some(minute(8)), "when the last of them began");
    }
    // A current fact with the merged value becomes part of it.
    let mia = add_fact(&store, &space, pet("Mia", 2, &ids[2..3])).await;
    let leo = add_fact(&store, &space, pet("Leo", 2, &ids[9..10])).await;
    assert_eq!(revise(&store, &space, LATER, merge(&[mia, leo])).await, 1);
    let anns: Vec<Fact> = read_facts(&store, FactsOf::owners(&space, ["ann"])).await;
    assert_eq!(values(&anns), ["A cat, Tom"]);
    assert_eq!(anns[0].citations, [&ids[2..6], &ids[9..10]].concat());
    assert_eq!(all_facts(&store).await.len(), 8);
}

/// Facts are read as of a time.
pub async fn facts_are_read_by_owner_category_and_time(store: Store) {
    let space = space("as-of");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let tom = add_fact(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    revise(&store, &space, LATER, vec![Revision::Replace { old: tom, new: pet("Mia", 9, &ids[9..10]) }])
        .await;
    for (owner, category) in [("bob", "profile"), ("bob", "work")] {
        let target = FactTarget { category: category.into(), ..profile(&space, owner) };
        let revisions = vec![Revision::Add(pet(category, 7, &ids[7..8]))];
        store.facts.revise(&RevisionSet { target, ..revision_set(&space, LATER, revisions) }).await.unwrap();
    }
    let values = async |of: FactsOf| -> Vec<String> {
        read_facts(&store, of).await.into_iter().map(|fact| fact.value).collect()
    };
    let as_of = |at| FactsOf { as_of: Some(minute(at)), ..FactsOf::space(&space) };
    assert_eq!(
        values(FactsOf::space(&space)).await,
        ["Mia", "profile", "work"],
        "in the order in which they were learned"
    );
    assert_eq!(values(as_of(4)).await, Vec::<String>::new());
    assert_eq!(values(as_of(5)).await, ["Tom"]);
    assert_eq!(values(as_of(8)).await, ["Tom", "profile", "work"]);
    assert_eq!(values(as_of(9)).await, ["Mia", "profile", "work"]);
    let owners = |owners: &[&str]| FactsOf::owners(&space, owners.iter().copied());
    assert_eq!(values(owners(&["ann"])).await, ["Mia"]);
    assert_eq!(values(owners(&["ann", "bob", "cleo"])).await.len(), 3);
    assert_eq!(values(owners(&[])).await, Vec::<String>::new());
    let category = |category: &str| FactsOf { category: Some(category.into()), ..owners(&["bob"]) };
    assert_eq!(values(category("work")).await, ["work"]);
    assert_eq!(values(FactsOf { as_of: Some(minute(6)), ..category("work") }).await, Vec::<String>::new());
}

/// A deleted message is removed from the queue and from all citations. Facts that cite no other message, also past ones,
/// are deleted with it.
pub async fn deleted_messages_delete_their_facts(store: Store) {
    let space = space("forgotten");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let alone = add_fact(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    let shared = add_fact(&store, &space, pet("Mia", 6, &ids[5..7])).await;
    let past = add_fact(&store, &space, pet("Leo", 7, &[ids[5], ids[8]])).await;
    revise(&store, &space, LATER, vec![Revision::Retire { old: past, at: minute(9) }]).await;
    let taken = claim(&store, 100).await.unwrap();
    let gone = [ids[5]];
    assert_eq!(store.episodes.delete(&crate::space("elsewhere"), &gone).await.unwrap(), 0);
    assert_eq!(all_facts(&store).await.len(), 3);
    assert_eq!(store.episodes.delete(&space, &gone).await.unwrap(), 1);
    let found: Vec<_> = all_facts(&store).await.into_iter().map(|f| (f.fact.id, f.fact.citations)).collect();
    assert_eq!(found, [(shared, vec![ids[6]]), (past, vec![ids[8]])], "{alone} is gone");
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 19);
    // The batch was claimed before the deletion.
    store.learning.put_back(&taken, &Outcome::Failed(minute(200))).await.unwrap();
    let first = claim(&store, 200).await.unwrap();
    assert_eq!(first.episodes, ids[..5]);
    store.learning.put_back(&first, &Outcome::Failed(minute(LATER))).await.unwrap();
    assert_eq!(claim(&store, 200).await.unwrap().episodes, ids[6..11]);
    assert_eq!(delete_all(&*store.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap(), 19);
    assert!(all_facts(&store).await.is_empty());
    let waiting = store.learning.waiting(None).await.unwrap();
    assert_eq!((waiting.waiting, waiting.parked, waiting.since), (0, 0, None));
    assert_eq!(claim(&store, LATER).await, None);
}

/// Citations of messages that are deleted meanwhile are dropped, with the facts that cite no other. A fact can be deleted
/// by itself.
pub async fn facts_need_an_existing_citation(store: Store) {
    let space = space("gone");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let foreign = store_messages(&store, &crate::space("foreign"), "ann", 30..31).await;
    let tom = add_fact(&store, &space, pet("Tom", 1, &ids[1..2])).await;
    let taken = claim(&store, 100).await.unwrap();
    store.episodes.delete(&space, &[ids[2], ids[3]]).await.unwrap();
    let learned = vec![
        Revision::Add(pet("Mia", 2, &ids[2..4])),
        Revision::Add(pet("Leo", 2, &ids[2..5])),
        Revision::Add(pet("Rex", 2, &foreign)),
        Revision::Replace { old: tom, new: pet("Zoe", 3, &ids[3..4]) },
    ];
    assert!(store.learning.learn(&taken, &revision_set(&space, LATER, learned)).await.unwrap());
    let facts = current_facts(&store, &space).await;
    assert_eq!(values(&facts), ["Tom", "Leo"]);
    assert_eq!(facts[1].citations, ids[4..5]);
    let elsewhere = crate::space("foreign");
    assert!(!store.facts.delete_fact(&(&elsewhere).into(), tom).await.unwrap());
    assert!(store.facts.delete_fact(&(&space).into(), tom).await.unwrap());
    assert!(!store.facts.delete_fact(&(&space).into(), tom).await.unwrap());
    assert_eq!(values(&current_facts(&store, &space).await), ["Leo"]);
    assert_eq!(store.episodes.episodes(&space, &ids[1..2]).await.unwrap().len(), 1, "the message stays");
}

/// Equal owners in two spaces have separate facts.
pub async fn spaces_learn_separately(store: Store) {
    let (one, two) = (space("one"), space("two"));
    let here = store_messages(&store, &one, "ann", 0..2).await;
    let there = store_messages(&store, &two, "ann", 2..4).await;
    let tom = add_fact(&store, &one, pet("Tom", 1, &here[1..])).await;
    add_fact(&store, &two, pet("Tom", 3, &there[1..])).await;
    assert_eq!(current_facts(&store, &one).await[0].citations, here[1..]);
    assert_eq!(current_facts(&store, &two).await[0].citations, there[1..]);
    assert_eq!(revise(&store, &two, LATER, vec![Revision::Retire { old: tom, at: minute(9) }]).await, 0);
    assert!(current_facts(&store, &space("three")).await.is_empty());
    let taken = claim(&store, LATER).await.unwrap();
    assert_eq!((taken.target, taken.space, taken.episodes), (profile(&one, "ann"), one.clone(), here));
    delete_all(&*store.episodes, &one, &EpisodesOf::Session("s".into())).await.unwrap();
    assert_eq!(all_facts(&store).await.len(), 1);
    assert_eq!(store.learning.waiting(Some(&two)).await.unwrap().waiting, 2);
}

/// Facts and the queue are copied to another engine unchanged, and only once.
pub async fn facts_and_queue_can_be_copied(one: Store, two: Store) {
    let space = space("moved");
    let ids = store_messages(&one, &space, "ann", 0..3).await;
    store_messages(&one, &space, "bob", 3..5).await;
    let tom = add_fact(&one, &space, pet("Tom", 1, &ids[1..])).await;
    revise(&one, &space, LATER, vec![Revision::Replace { old: tom, new: pet("Mia", 2, &ids[2..]) }]).await;
    let taken = claim(&one, 100).await.unwrap();
    one.learning.put_back(&taken, &Outcome::Parked("for now".into())).await.unwrap();
    let queue = async |store: &Store| {
        let mut all = Vec::new();
        loop {
            let page = store.learning.queue(all.last(), 2).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    };
    let (facts, queued) = (all_facts(&one).await, queue(&one).await);
    assert_eq!((facts.len(), queued.len()), (2, 5));
    assert_eq!(queued.iter().filter(|queued| queued.parked.is_some()).count(), 3);
    two.facts.put_facts(&facts).await.unwrap();
    two.learning.enqueue(&queued).await.unwrap();
    assert!(
        all_facts(&two).await.is_empty() && queue(&two).await.is_empty(),
        "their messages are not stored there"
    );
    two.episodes.append(batch(one.episodes.page(&space, None, None, 9).await.unwrap())).await.unwrap();
    for _ in 0..2 {
        two.facts.put_facts(&facts).await.unwrap();
        two.learning.enqueue(&queued).await.unwrap();
        assert_eq!(all_facts(&two).await, facts);
        let mut moved = queue(&two).await;
        moved.sort_by(|a, b| (&a.target, a.episode).cmp(&(&b.target, b.episode)));
        assert_eq!(moved, queued);
    }
    assert_eq!(two.learning.parked(None, 9).await.unwrap(), one.learning.parked(None, 9).await.unwrap());
    let next = claim(&two, 100).await.unwrap();
    assert_eq!((&next.target, next.attempt, next.episodes.len()), (&profile(&space, "bob"), 1, 2));
    add_fact(&two, &space, pet("Leo", 2, &ids[2..])).await;
    assert!(all_facts(&two).await[2].fact.id > facts[1].fact.id);
}

/// Facts that were made by hand need no message. They are read, changed, revised, deleted and copied as others are.
pub async fn facts_are_made_by_hand(store: Store) {
    let space = space("by-hand");
    let scope = FactScope::from(&space);
    let target = profile(&space, "ann");
    let add = async |new: &NewFact| store.facts.add_fact(&target, new, minute(LATER)).await.unwrap();
    let metadata = json!({"source": "é 'a form'", "n": [1, null]}).as_object().unwrap().clone();
    let new = NewFact { metadata: metadata.clone(), ..pet("Tom", 1, &[]) };
    assert_eq!(add(&new).await, None, "the space is unknown");
    let ids = store_messages(&store, &space, "ann", 0..4).await;
    let tom = add(&new).await.unwrap();
    let expected = Fact {
        id: tom,
        target: target.clone(),
        tag: "Pets".into(),
        name: "cat".into(),
        value: "Tom".into(),
        metadata,
        citations: vec![],
        valid_from: minute(1),
        valid_to: None,
        learned_at: minute(LATER),
        prompt: String::new(),
        model: String::new(),
    };
    assert_eq!(store.facts.fact(tom).await.unwrap().unwrap().fact, expected);
    assert_eq!(store.facts.fact(FactId::from_number(1)).await.unwrap(), None);
    assert_eq!(add(&pet("Tom", 2, &ids[..1])).await, Some(tom), "the current fact gains the citation");
    let mia = add(&pet("Mia", 2, &ids[1..2])).await.unwrap();
    assert_eq!(
        add(&pet("Leo", 2, &[EpisodeId::new(minute(-1), 0)])).await,
        None,
        "its message is not stored"
    );
    let changes = FactChanges {
        category: Some("work".into()),
        tag: Some("Job".into()),
        value: Some("Mia the cat".into()),
        citations: Some(vec![ids[3], EpisodeId::new(minute(-1), 0), ids[2]]),
        vector: None,
        ..FactChanges::default()
    };
    let elsewhere = crate::space("elsewhere");
    assert!(!store.facts.update_fact(&(&elsewhere).into(), mia, &changes).await.unwrap());
    assert!(!store.facts.update_fact(&scope, FactId::from_number(1), &changes).await.unwrap());
    assert!(store.facts.update_fact(&scope, mia, &changes).await.unwrap());
    let changed = store.facts.fact(mia).await.unwrap().unwrap();
    let Fact { target: moved, tag, name, value, citations, .. } = changed.fact;
    assert_eq!((moved.set, moved.category.as_str()), (target.set.clone(), "work"));
    assert_eq!((tag.as_str(), name.as_str(), value.as_str()), ("Job", "cat", "Mia the cat"));
    assert_eq!((citations, changed.vector), (ids[2..4].to_vec(), None));
    let metadata = FactChanges { metadata: Some(Metadata::new()), ..FactChanges::default() };
    assert!(store.facts.update_fact(&scope, tom, &metadata).await.unwrap());
    let tom_now = store.facts.fact(tom).await.unwrap().unwrap();
    assert_eq!((tom_now.fact.metadata.len(), tom_now.vector.is_some()), (0, true), "only that has changed");
    // What rests on no message stays when messages are deleted; what rested on them goes with them.
    let noted = add(&pet("Zoe", 3, &[])).await.unwrap();
    delete_all(&*store.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    assert_eq!(all_facts(&store).await.iter().map(|fact| fact.fact.id).collect::<Vec<_>>(), [noted]);
    let facts = all_facts(&store).await;
    store.facts.put_facts(&facts).await.unwrap();
    assert!(store.facts.delete_fact(&scope, noted).await.unwrap());
    store.facts.put_facts(&facts).await.unwrap();
    assert_eq!(all_facts(&store).await, facts, "it is copied without a citation");
}

/// A set of an organization has facts from messages of all its spaces, and no space has it.
pub async fn facts_of_an_organization_cite_all_its_spaces(store: Store) {
    let (one, two) = (space("one"), space("two"));
    let foreign = Space::new("another", "one");
    let ids = [
        store_messages(&store, &one, "ann", 0..1).await[0],
        store_messages(&store, &two, "ann", 1..2).await[0],
        store_messages(&store, &foreign, "ann", 2..3).await[0],
    ];
    let target =
        FactTarget { set: FactSet::of(FactScope::organization("universal")), category: "work".into() };
    let queued =
        |episode| Queued { target: target.clone(), episode, since: minute(0), attempts: 0, parked: None };
    store.learning.enqueue(&ids.map(queued)).await.unwrap();
    let mut claimed = Vec::new();
    while let Some(batch) = claim(&store, LATER).await {
        if batch.target == target {
            claimed.push((batch.space.clone(), batch.episodes.clone()));
            let revisions = vec![Revision::Add(pet("Tom", 1, &ids))];
            let set = RevisionSet { target: target.clone(), ..revision_set(&one, LATER, revisions) };
            assert!(store.learning.learn(&batch, &set).await.unwrap());
        }
    }
    assert_eq!(claimed, [(one.clone(), ids[..1].to_vec()), (two.clone(), ids[1..2].to_vec())], "by space");
    let of = FactsOf { sets: FactSets::These(vec![target.set.clone()]), ..FactsOf::space(&one) };
    let facts = read_facts(&store, of).await;
    assert_eq!((facts[0].citations.as_slice(), facts.len()), (&ids[..2], 1));
    let of = FactsOf { sets: FactSets::Of(target.set.scope.clone()), ..FactsOf::space(&one) };
    assert_eq!(read_facts(&store, of).await, facts);
    assert!(current_facts(&store, &one).await.is_empty());
    assert!(!store.facts.delete_fact(&(&one).into(), facts[0].id).await.unwrap());
    assert_eq!(store.categories.sets(&target.set.scope).await.unwrap(), std::slice::from_ref(&target.set));
    store.episodes.delete(&one, &ids[..1]).await.unwrap();
    assert_eq!(all_facts(&store).await[0].fact.citations, ids[1..2]);
    delete_all(&*store.episodes, &two, &EpisodesOf::Session("s".into())).await.unwrap();
    assert!(all_facts(&store).await.is_empty());
}
