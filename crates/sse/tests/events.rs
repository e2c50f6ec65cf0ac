//! Server-sent events, in pieces cut anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use memcloud_sse::{Event, EventTooLong, Events};
use proptest::prelude::*;

fn event(raw: &[u8], name: Option<&str>, data: Option<&str>) -> Event {
    Event { raw: Bytes::copy_from_slice(raw), name: name.map(str::to_owned), data: data.map(str::to_owned) }
}

/// The events of a stream in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Vec<Event>, EventTooLong> {
    let (mut events, mut read) = (Events::with_limit(limit), Vec::new());
    for piece in pieces {
        events.push(piece);
        while let Some(event) = events.next_event()? {
            read.push(event);
        }
    }
    read.extend(events.finish());
    Ok(read)
}

fn whole(stream: &[u8]) -> Vec<Event> {
    read([stream], 1 << 20).unwrap()
}

#[test]
fn every_end_of_line_ends_a_line() {
    for end in ["\n", "\r\n", "\r"] {
        let first = format!("event: said{end}data: one{end}data: two{end}{end}");
        let second = format!("data: three{end}{end}");
        assert_eq!(
            whole(format!("{first}{second}").as_bytes()),
            [
                event(first.as_bytes(), Some("said"), Some("one\ntwo")),
                event(second.as_bytes(), None, Some("three"))
            ],
            "{end:?}"
        );
    }
}

#[test]
fn only_one_space_after_the_colon_is_not_data() {
    assert_eq!(whole(b"data:one\n\n")[0].data.as_deref(), Some("one"));
    assert_eq!(whole(b"data:  one \n\n")[0].data.as_deref(), Some(" one "));
    assert_eq!(whole(b"data\n\n")[0].data.as_deref(), Some(""));
    assert_eq!(whole(b"data:\ndata:\n\n")[0].data.as_deref(), Some("\n"));
}

#[test]
fn comments_and_unknown_fields_are_kept_without_data() {
    let stream = b": alive\n\nid: 7\nretry: 10\ndatum: x\n\n\ndata: one\n\n";
    let data: Vec<_> = whole(stream).into_iter().map(|event| (event.raw, event.data)).collect();
    assert_eq!(
        data,
        [
            (Bytes::from(": alive\n\n"), None),
            (Bytes::from("id: 7\nretry: 10\ndatum: x\n\n"), None),
            (Bytes::from("\n"), None),
            (Bytes::from("data: one\n\n"), Some("one".into())),
        ]
    );
}

#[test]
fn a_byte_order_mark_is_ignored_before_the_first_event_only() {
    let stream = "\u{feff}data: one\n\n\u{feff}data: two\n\n";
    let data: Vec<_> = whole(stream.as_bytes()).into_iter().map(|event| event.data).collect();
    assert_eq!(data, [Some("one".to_owned()), None]);
    assert_eq!(whole("\u{feff}\ndata: one\n\n".as_bytes()).len(), 2);
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let events = whole(b"data: a\xff\xc3b\n\n");
    assert_eq!(events[0], event(b"data: a\xff\xc3b\n\n", None, Some("a\u{fffd}\u{fffd}b")));
}

#[test]
fn an_event_is_returned_as_soon_as_it_is_complete() {
    let mut events = Events::default();
    events.push(b"data: one\n\n");
    assert!(events.next_event().unwrap().is_some());
    events.push(b"data: two\r\n\r");
    assert_eq!(events.next_event(), Ok(None));
    events.push(b"\n");
    assert_eq!(events.next_event(), Ok(Some(event(b"data: two\r\n\r\n", None, Some("two")))));
    assert_eq!((events.next_event(), events.finish()), (Ok(None), None));
}

#[test]
fn the_end_of_the_stream_ends_the_last_event() {
    for rest in ["data: on", "data: on\n", "data: on\r", "data: on\r\r"] {
        assert_eq!(whole(rest.as_bytes()), [event(rest.as_bytes(), None, Some("on"))], "{rest:?}");
    }
}

#[test]
fn an_event_that_is_too_long_is_a_lasting_error() {
    let limit = b"data: one\n\n".len();
    assert!(read([&b"data: one\n\n"[..]], limit).is_ok());
    assert_eq!(read([&b"data: one!\n\n"[..]], limit), Err(EventTooLong { limit }));
    let mut events = Events::with_limit(limit);
    for piece in [&b"data: one\n\ndata: "[..], b"one", b"!"] {
        events.push(piece);
    }
    assert!(events.next_event().unwrap().is_some());
    events.push(b"!!");
    assert!(events.next_event().is_err());
    events.push(b"\n\ndata: two\n\n");
    assert!(events.next_event().is_err());
    assert_eq!(events.finish(), None);
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "data: ?[a-zé🙂:]{0,6}".prop_map(String::into_bytes),
        1 => "event: [a-z]{1,4}".prop_map(String::into_bytes),
        1 => ":[a-z ]{0,4}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
        1 => Just("\u{feff}".as_bytes().to_vec()),
        3 => Just(Vec::new()),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("")];
    proptest::collection::vec((line(), end), 0..24).prop_map(|lines| {
        lines.into_iter().flat_map(|(line, end)| [&line, end.as_bytes()].concat()).collect()
    })
}

/// The events by the letter of the specification, read from the whole text at once.
fn by_the_letter(stream: &[u8]) -> Vec<(Option<String>, Option<String>)> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut said = Vec::new();
    let (mut name, mut data) = (None, Vec::<String>::new());
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            let data = std::mem::take(&mut data);
            let joined = (!data.is_empty()).then(|| data.join("\n"));
            said.extend((name.is_some() || joined.is_some()).then(|| (name.take(), joined)));
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "data" => data.push(value),
            "event" => name = Some(value),
            _ => {}
        }
    }
    said
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_its_events_are_the_same(
        stream in stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let expected = whole(&stream);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let pieces = places.windows(2).map(|place| &stream[place[0]..place[1]]);
        prop_assert_eq!(&read(pieces, 1 << 20).unwrap(), &expected);
        prop_assert_eq!(&read(stream.chunks(1), 1 << 20).unwrap(), &expected);

        let raw: Vec<u8> = expected.iter().flat_map(|event| event.raw.to_vec()).collect();
        prop_assert_eq!(&raw, &stream);
        let said: Vec<_> = expected.into_iter().map(|event| (event.name, event.data)).collect();
        let said: Vec<_> = said.into_iter().filter(|(name, data)| name.is_some() || data.is_some()).collect();
        prop_assert_eq!(said, by_the_letter(&stream));
    }

    #[test]
    fn the_limit_falls_on_the_same_event_however_the_stream_is_cut(stream in stream(), limit in 1_usize..24) {
        let whole = read([&stream[..]], limit);
        let bytewise = read(stream.chunks(1), limit);
        prop_assert_eq!(whole, bytewise);
    }
}

#[test]
fn written_events_are_read_back() {
    let written = [
        memcloud_sse::named("delta", &"one\ntwo\r"),
        memcloud_sse::numbered(7, "step", &[1, 2]),
        memcloud_sse::data(&serde_json::json!({"a": "\u{2028}"})),
    ];
    let read = whole(&written.concat());
    let fields: Vec<_> = read.iter().map(|event| (event.name.as_deref(), event.data.as_deref())).collect();
    assert_eq!(
        fields,
        [
            (Some("delta"), Some(r#""one\ntwo\r""#)),
            (Some("step"), Some("[1,2]")),
            (None, Some("{\"a\":\"\u{2028}\"}")),
        ]
    );
}
