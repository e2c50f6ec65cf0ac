use std::time::{Duration, Instant};

use crate::home::Home;

#[test]
fn a_signal_ends_it_soon_and_nothing_is_lost() {
    for name in ["TERM", "INT"] {
        let home = Home::new();
        let mut server = home.serve();
        home.run(&["add", "remember this", "--url", &server.url]).ok();
        let told = Instant::now();
        server.signal(name);
        assert!(server.ended().success(), "{}", server.logged);
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
        let again = home.serve();
        home.run(&["search", "remember", "--url", &again.url]).ok();
    }
}
