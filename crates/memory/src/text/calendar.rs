//! English names of months, seasons and weekdays.

use jiff::civil::Weekday;

/// The months, in order.
pub(crate) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The number of a month, by its name or a usual short form such as "sept".
pub(crate) fn month(word: &str) -> Option<i8> {
    let found = MONTHS.iter().position(|name| {
        *name == word
            || (word.len() >= 3
                && word.len() <= 4
                && name.starts_with(word)
                && word != "marc"
                && word != "octo")
    })?;
    i8::try_from(found + 1).ok()
}

/// The first month of a season, on the northern half of the earth.
pub(crate) fn season(word: &str) -> Option<i8> {
    Some(match word {
        "spring" => 3,
        "summer" => 6,
        "autumn" | "fall" => 9,
        "winter" => 12,
        _ => return None,
    })
}

/// A weekday, by its name.
pub(crate) fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}
