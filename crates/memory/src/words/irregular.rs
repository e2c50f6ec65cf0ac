//! English words whose forms no stemmer leads back to one stem.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A ground form and the forms that mean it, a line each.
const FORMS: &str = "
    become: became
    begin: began begun
    bend: bent
    bind: bound
    bite: bit bitten
    bleed: bled
    blow: blew blown
    break: broke broken
    breed: bred
    bring: brought
    build: built
    buy: bought
    catch: caught
    child: children
    choose: chose chosen
    come: came
    cost: cost
    deal: dealt
    dig: dug
    draw: drawn drew
    dream: dreamt
    drink: drank drunk
    drive: driven drove
    eat: ate eaten
    fall: fallen fell
    feed: fed
    feel: felt
    fight: fought
    find: found
    fly: flew flown
    foot: feet
    forget: forgot forgotten
    freeze: froze frozen
    get: got gotten
    give: gave given
    go: gone went
    grow: grew grown
    hang: hung
    hear: heard
    hide: hid hidden
    hold: held
    keep: kept
    knife: knives
    know: knew known
    lay: laid
    lead: led
    leaf: leaves
    learn: learnt
    leave: left
    lend: lent
    life: lives
    light: lit
    lose: lost
    make: made
    man: men
    mean: meant
    meet: met
    mouse: mice
    overcome: overcame
    pay: paid
    person: people
    prove: proved proven
    ride: ridden rode
    ring: rang rung
    rise: risen rose
    run: ran
    say: said
    see: saw seen
    seek: sought
    sell: sold
    send: sent
    shake: shaken shook
    shine: shone
    shoot: shot
    show: showed shown
    sing: sang sung
    sink: sank sunk
    sit: sat
    sleep: slept
    speak: spoke spoken
    spend: spent
    stand: stood
    steal: stole stolen
    stick: stuck
    strike: struck
    swear: swore sworn
    sweep: swept
    swim: swam swum
    take: taken took
    teach: taught
    tear: tore torn
    tell: told
    think: thought
    throw: threw thrown
    tooth: teeth
    understand: understood
    wake: woke woken
    wear: wore worn
    weep: wept
    wife: wives
    win: won
    wind: wound
    withdraw: withdrawn withdrew
    woman: women
    write: written wrote
";

/// The ground form of an irregular verb or noun, if the word is one.
pub(crate) fn ground_form(word: &str) -> Option<&'static str> {
    static GROUND: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        let lines = FORMS.lines().filter_map(|line| line.split_once(':'));
        lines
            .flat_map(|(ground, forms)| forms.split_whitespace().map(|form| (form, ground.trim())))
            .collect()
    });
    GROUND.get(word).copied()
}
