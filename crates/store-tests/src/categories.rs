//! What every engine must do as a [`CategoryStore`](memcloud_ports::CategoryStore).

use std::collections::BTreeMap;

use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, EpisodeId, FactScope, FactSet, FactTarget, SetType, SetTypeId, Tag,
    TagId,
};
use memcloud_ports::{Revision, RevisionSet};
use uuid::Uuid;

use crate::Store;
use crate::learned::{LATER, all_facts, current_facts, pet, profile, revision_set, store_messages};
use crate::samples::space;

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    a_category_is_read_as_it_was_stored(fresh().await).await;
    a_changed_prompt_has_a_higher_version(fresh().await).await;
    sets_inherit_categories(fresh().await).await;
    a_disabled_category_is_not_learned(fresh().await).await;
    a_deleted_category_takes_its_facts_along(fresh().await).await;
    a_deleted_space_takes_its_categories_along(fresh().await).await;
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn category(number: u128, origin: CategoryOrigin, name: &str) -> Category {
    let tag = |(number, name): (u128, &str)| Tag {
        id: TagId(id(number)),
        name: name.into(),
        description: format!("é '{name}'"),
    };
    Category {
        id: CategoryId(id(number)),
        origin,
        name: name.into(),
        description: "naïve café".into(),
        prompt: format!("Learn {name} 🎈'; --"),
        version: 1,
        tags: [(number * 100, "z"), (number * 100 + 1, "a")].map(tag).into(),
    }
}

async fn put(store: &Store, category: &Category) -> bool {
    store.categories.put_category(category).await.unwrap()
}

/// The names and ids of the categories of a set, and whether they are enabled.
async fn of_set(store: &Store, set: &FactSet) -> Vec<(String, u128, bool)> {
    let all = store.categories.categories_of(set).await.unwrap();
    all.into_iter().map(|of| (of.category.name, of.category.id.0.as_u128(), of.enabled)).collect()
}

/// A category is read as it was stored, with its tags in the order of their ids. Names are unique in each origin.
pub async fn a_category_is_read_as_it_was_stored(store: Store) {
    let space = space("categories");
    let own = |number| category(number, CategoryOrigin::Set(profile(&space, "ann").set), "work");
    assert!(!put(&store, &own(2)).await, "the space is unknown");
    store_messages(&store, &space, "ann", 0..1).await;
    let template = category(3, CategoryOrigin::SetType(SetTypeId(id(9))), "work");
    assert!(!put(&store, &template).await, "the type is unknown");
    let (built_in, own) = (category(1, CategoryOrigin::BuiltIn, "work"), own(2));
    assert!(put(&store, &built_in).await && put(&store, &own).await);
    assert!(!put(&store, &category(4, own.origin.clone(), "work")).await, "the name is taken");
    assert_eq!(store.categories.category(own.id).await.unwrap(), Some(own.clone()));
    assert_eq!(store.categories.category(CategoryId(id(4))).await.unwrap(), None);
    assert_eq!(store.categories.categories(None).await.unwrap(), [built_in.clone(), own.clone()]);
    assert_eq!(store.categories.categories(Some(&CategoryOrigin::BuiltIn)).await.unwrap(), [built_in]);
    assert_eq!(store.categories.categories(Some(&own.origin)).await.unwrap(), std::slice::from_ref(&own));
    let tag =
        |number, name: &str| Tag { id: TagId(id(number)), name: name.into(), description: String::new() };
    assert!(!store.categories.add_tag(own.id, &tag(300, "a")).await.unwrap(), "the name is taken");
    assert!(!store.categories.add_tag(CategoryId(id(4)), &tag(300, "b")).await.unwrap());
    assert!(store.categories.add_tag(own.id, &tag(300, "b")).await.unwrap());
    assert!(store.categories.delete_tag(own.tags[0].id).await.unwrap());
    assert!(!store.categories.delete_tag(own.tags[0].id).await.unwrap());
    let tags = store.categories.category(own.id).await.unwrap().unwrap().tags;
    assert_eq!(tags, [own.tags[1].clone(), tag(300, "b")]);
}

/// A category that is stored again keeps its origin and name. Its version is higher if its prompt has changed.
pub async fn a_changed_prompt_has_a_higher_version(store: Store) {
    let first = category(1, CategoryOrigin::BuiltIn, "work");
    let version = async |changed: &Category| {
        assert!(put(&store, changed).await);
        let stored = store.categories.category(first.id).await.unwrap().unwrap();
        assert_eq!((&stored.origin, stored.name.as_str()), (&CategoryOrigin::BuiltIn, "work"));
        assert_eq!((&stored.prompt, &stored.tags), (&changed.prompt, &changed.tags));
        stored.version
    };
    assert_eq!(version(&first).await, 1);
    let other = Category { description: "other".into(), tags: vec![], name: "other".into(), ..first.clone() };
    assert_eq!(version(&other).await, 1, "the same prompt");
    assert_eq!(version(&Category { prompt: "Learn more.".into(), ..first.clone() }).await, 2);
    assert_eq!(version(&Category { prompt: "Learn less.".into(), version: 7, ..first.clone() }).await, 7);
    assert_eq!(version(&Category { prompt: "Learn less.".into(), ..first.clone() }).await, 7, "never lower");
}

/// A set has its own categories, those of its type, and the built-in ones; of one name only the first.
pub async fn sets_inherit_categories(store: Store) {
    let (here, there) = (space("here"), space("there"));
    for space in [&here, &there] {
        store_messages(&store, space, "ann", 0..1).await;
    }
    let set_type = |number, scope: FactScope, keys: &[&str]| SetType {
        id: SetTypeId(id(number)),
        scope,
        keys: keys.iter().map(|&key| key.into()).collect(),
        name: "people".into(),
        description: "é".into(),
    };
    let people = set_type(1, (&here).into(), &["producer_id"]);
    let shops = set_type(2, FactScope::organization("universal"), &["shop", "city"]);
    assert!(!store.categories.put_set_type(&set_type(3, (&space("unknown")).into(), &[])).await.unwrap());
    for known in [&people, &shops] {
        assert!(store.categories.put_set_type(known).await.unwrap());
    }
    assert!(
        !store.categories.put_set_type(&SetType { id: SetTypeId(id(3)), ..people.clone() }).await.unwrap()
    );
    let renamed = SetType { name: "persons".into(), ..people.clone() };
    assert!(store.categories.put_set_type(&renamed).await.unwrap());
    assert_eq!(store.categories.set_types(None).await.unwrap(), [renamed, shops.clone()]);
    assert_eq!(store.categories.set_types(Some("another")).await.unwrap(), []);
    let ann = FactSet::about(&here, "ann");
    let template = |number, of: &SetType, name| category(number, CategoryOrigin::SetType(of.id), name);
    for new in [
        category(1, CategoryOrigin::BuiltIn, "profile"),
        category(2, CategoryOrigin::BuiltIn, "work"),
        template(3, &people, "work"),
        template(4, &people, "food"),
        category(5, CategoryOrigin::Set(ann.clone()), "food"),
        template(6, &shops, "prices"),
    ] {
        assert!(put(&store, &new).await);
    }
    let enabled = |name: &str, number| (name.to_owned(), number, true);
    let (profile, work, food) = (enabled("profile", 1), enabled("work", 3), enabled("food", 4));
    assert_eq!(of_set(&store, &ann).await, [enabled("food", 5), profile.clone(), work.clone()]);
    let bob = FactSet::about(&here, "bob");
    assert_eq!(of_set(&store, &bob).await, [food, profile.clone(), work]);
    let built_in = [profile.clone(), enabled("work", 2)];
    for set in [FactSet::about(&there, "ann"), FactSet::of(&here), FactSet::about(&space("unknown"), "ann")] {
        assert_eq!(of_set(&store, &set).await, built_in);
    }
    let metadata = BTreeMap::from([("city", "Oslo"), ("shop", "7")].map(|(k, v)| (k.into(), v.into())));
    let shop = FactSet { scope: FactScope::organization("universal"), metadata };
    assert_eq!(of_set(&store, &shop).await, [enabled("prices", 6), profile, enabled("work", 2)]);
    let names = store.categories.enabled_categories(&[shop, FactSet::of(&there), ann.clone()]).await.unwrap();
    assert_eq!(
        names,
        [&["prices", "profile", "work"][..], &["profile", "work"], &["food", "profile", "work"]]
    );
    assert_eq!(store.categories.sets(&(&here).into()).await.unwrap(), [ann]);
}

/// A set can disable a category and enable it again. Others are not affected.
pub async fn a_disabled_category_is_not_learned(store: Store) {
    let space = space("disabled");
    let (ann, bob) = (profile(&space, "ann"), FactSet::about(&space, "bob"));
    assert!(!store.categories.enable_category(&ann, false).await.unwrap(), "the space is unknown");
    store_messages(&store, &space, "ann", 0..1).await;
    assert!(put(&store, &category(1, CategoryOrigin::BuiltIn, "profile")).await);
    for _ in 0..2 {
        assert!(store.categories.enable_category(&ann, false).await.unwrap());
    }
    assert_eq!(of_set(&store, &ann.set).await, [("profile".to_owned(), 1, false)]);
    let sets = [ann.set.clone(), bob];
    assert_eq!(store.categories.enabled_categories(&sets).await.unwrap(), [&[][..], &["profile"]]);
    assert_eq!(store.categories.disabled_categories().await.unwrap(), std::slice::from_ref(&ann));
    assert!(store.categories.enable_category(&ann, true).await.unwrap());
    assert_eq!(store.categories.enabled_categories(&sets).await.unwrap(), [["profile"], ["profile"]]);
    assert_eq!(store.categories.disabled_categories().await.unwrap(), []);
}

async fn learn(store: &Store, target: FactTarget, value: &str) {
    let set = RevisionSet {
        target,
        ..revision_set(&space("gone"), LATER, vec![Revision::Add(pet(value, 1, &[]))])
    };
    assert_eq!(store.facts.revise(&set).await.unwrap(), 1);
}

async fn values(store: &Store) -> Vec<String> {
    all_facts(store).await.into_iter().map(|fact| fact.fact.value).collect()
}

/// With a category its facts and queues are deleted, in exactly the sets that have it.
pub async fn a_deleted_category_takes_its_facts_along(store: Store) {
    let space = space("gone");
    store_messages(&store, &space, "ann", 0..3).await;
    let target =
        |owner: &str, category: &str| FactTarget { category: category.into(), ..profile(&space, owner) };
    let people = SetType {
        id: SetTypeId(id(1)),
        scope: (&space).into(),
        keys: ["producer_id".to_owned()].into(),
        name: String::new(),
        description: String::new(),
    };
    assert!(store.categories.put_set_type(&people).await.unwrap());
    let of_people = CategoryOrigin::SetType(people.id);
    let own = category(5, CategoryOrigin::Set(profile(&space, "ann").set), "work");
    for new in [
        category(1, CategoryOrigin::BuiltIn, "profile"),
        category(2, CategoryOrigin::BuiltIn, "work"),
        category(3, of_people.clone(), "work"),
        category(4, of_people.clone(), "food"),
        own.clone(),
    ] {
        assert!(put(&store, &new).await);
    }
    learn(&store, target("ann", "work"), "ann's own").await;
    learn(&store, target("bob", "work"), "bob's of the type").await;
    learn(&store, FactTarget { set: FactSet::of(&space), category: "work".into() }, "built in").await;
    learn(&store, target("ann", "food"), "ann's of the type").await;
    assert!(store.categories.delete_category(CategoryId(id(3))).await.unwrap());
    assert!(!store.categories.delete_category(CategoryId(id(3))).await.unwrap());
    assert_eq!(values(&store).await, ["ann's own", "built in", "ann's of the type"]);
    assert!(store.categories.delete_category(own.id).await.unwrap());
    assert_eq!(values(&store).await, ["built in", "ann's of the type"]);
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 3);
    assert!(store.categories.delete_category(CategoryId(id(1))).await.unwrap());
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0);
    assert!(store.categories.delete_set_type(people.id).await.unwrap());
    assert!(!store.categories.delete_set_type(people.id).await.unwrap());
    assert_eq!(values(&store).await, ["built in"]);
    assert_eq!(store.categories.categories(Some(&of_people)).await.unwrap(), []);
}

/// What a deleted space had is not found again in a new one of its name.
pub async fn a_deleted_space_takes_its_categories_along(store: Store) {
    let space = space("again");
    let target = profile(&space, "ann");
    store_messages(&store, &space, "ann", 0..1).await;
    let people = SetType {
        id: SetTypeId(id(1)),
        scope: (&space).into(),
        keys: ["producer_id".to_owned()].into(),
        name: String::new(),
        description: String::new(),
    };
    assert!(store.categories.put_set_type(&people).await.unwrap());
    assert!(put(&store, &category(1, CategoryOrigin::SetType(people.id), "work")).await);
    assert!(put(&store, &category(2, CategoryOrigin::Set(target.set.clone()), "food")).await);
    assert!(put(&store, &category(3, CategoryOrigin::BuiltIn, "profile")).await);
    assert!(store.categories.enable_category(&target, false).await.unwrap());
    learn(&store, target.clone(), "noted").await;
    assert!(store.spaces.begin_space_deletion(&space).await.unwrap());
    let gone = async |store: &Store| {
        assert_eq!(of_set(store, &target.set).await, [("profile".to_owned(), 3, true)]);
        assert!(store.categories.sets(&(&space).into()).await.unwrap().is_empty());
        assert!(current_facts(store, &space).await.is_empty());
    };
    gone(&store).await;
    for hidden in store.spaces.hidden_spaces().await.unwrap() {
        let all = store.episodes.page(&hidden, None, None, 9).await.unwrap();
        let ids: Vec<EpisodeId> = all.iter().map(|episode| episode.id).collect();
        store.episodes.delete(&hidden, &ids).await.unwrap();
        store.spaces.remove_space(&hidden).await.unwrap();
    }
    assert!(all_facts(&store).await.is_empty());
    assert_eq!(store.categories.categories(None).await.unwrap().len(), 1);
    assert_eq!(store.categories.set_types(None).await.unwrap(), []);
    store_messages(&store, &space, "bob", 5..6).await;
    assert_eq!(of_set(&store, &target.set).await, [("profile".to_owned(), 3, true)]);
}
