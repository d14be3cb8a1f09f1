//! What may be a secret, by its name and by its look, and what is shown in its place.
//!
//! Names and looks are a second line: they hide what git declares in plain text, and what AWS says in free text. A value that
//! only AWS knows is hidden whatever it is called (`documents/shown.rs`); while it is not known, all but the usual words of a
//! refusal is (`refusals.rs`).

mod refusals;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use refusals::of_refusal;

/// Shown instead of a declared value that may be a secret.
pub const MASK: &str = "(masked)";
/// Shown instead of a part of a text.
const HIDDEN: &str = "(hidden)";

/// What fingerprints are made with: 256 bits from the system's randomness, other ones in each process, so that nobody can try
/// values against a fingerprint that was printed. `RandomState` is keyed by 128 bits of the system; no other source is in
/// the standard library.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    let states = RandomState::new();
    for (number, part) in (0_u64..).zip(key.chunks_mut(8)) {
        part.copy_from_slice(&states.hash_one(number).to_le_bytes());
    }
    key
});

/// Shown instead of a value that only AWS knows: the same for the same value at the same place, within one process.
pub fn fingerprint(place: &str, value: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(KEY.as_slice()) else { return "differs".to_owned() };
    mac.update(place.as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    let digits: String = hex::encode(mac.finalize().into_bytes()).chars().take(8).collect();
    format!("differs ({digits})")
}

/// Whether a value may be a secret, by what it is called or by how it looks. What is masked is complained about where it
/// stands in plain text, and nothing else.
pub fn may_be_a_secret(name: &str, value: &str) -> bool {
    may_name_a_secret(name) && !is_reference(value) && !is_flag(value) || may_hold_a_secret(value)
}

/// Whether the words of a command may hold a secret: an option and its value are two of them.
pub fn may_hold_a_secret_in_words(words: &[&str]) -> bool {
    may_hold_a_secret(&words.join(" "))
        || words.windows(2).any(|pair| {
            let [option, value] = pair else { return false };
            let is_value = !value.starts_with("--") && !is_reference(value);
            option.starts_with('-') && may_name_a_secret(option) && is_value
        })
}

/// Nothing, or what switches something on: `OAUTH=true`.
fn is_flag(value: &str) -> bool {
    matches!(value, "" | "true" | "false")
}

/// A variable of a shell, as it is left of `$NAME`, `${NAME}` and `$(command)`: its value stands elsewhere. Those that are not
/// in capital letters may be what a secret begins with.
fn is_reference(value: &str) -> bool {
    let name = value.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
    name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
}

/// Parts of a name, without what separates them.
const PARTS: [&str; 17] = [
    "PASS",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "PRIVATEKEY",
    "ACCESSKEY",
    "CREDENTIAL",
    "DATABASEURL",
    "CONNECTIONSTRING",
    "CONNSTR",
    "KUBECONFIG",
    "NETRC",
    "MNEMONIC",
    "KEYSTORE",
    "BEARER",
    "COOKIE",
    "WEBHOOK",
];
/// Whole words of a name.
const WORDS: [&str; 23] = [
    "PW",
    "PWD",
    "DSN",
    "JWT",
    "CRED",
    "CREDS",
    "SALT",
    "PEPPER",
    "CERT",
    "PEM",
    "PFX",
    "P12",
    "PIN",
    "OTP",
    "TOTP",
    "SEED",
    "SIG",
    "SIGNATURE",
    "AUTH",
    "OAUTH",
    "AUTHORIZATION",
    "SIGNING",
    "ENCRYPTION",
];
/// What has an address with a password in it.
const SERVERS: [&str; 17] = [
    "DB",
    "DATABASE",
    "MONGO",
    "MONGODB",
    "REDIS",
    "POSTGRES",
    "POSTGRESQL",
    "PG",
    "MYSQL",
    "AMQP",
    "RABBITMQ",
    "CLICKHOUSE",
    "ELASTICSEARCH",
    "BROKER",
    "JDBC",
    "SMTP",
    "LDAP",
];

/// Whether a name suggests that its value may be a secret. It errs towards yes: it only costs a word of explanation.
pub fn may_name_a_secret(name: &str) -> bool {
    let compact: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    if PARTS.iter().any(|part| compact.contains(part)) {
        return true;
    }
    let words = words(name);
    let follows = |ends: &[&str], before: Option<&[&str]>| {
        words.windows(2).any(|pair| {
            ends.contains(&pair[1].as_str()) && before.is_none_or(|before| before.contains(&pair[0].as_str()))
        })
    };
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || follows(&["KEY", "KEYS"], None)
        || follows(&["URL", "URI"], Some(&SERVERS))
}

/// `apiKey`, `API_KEY` and `api-key` alike.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for c in name.chars() {
        let joins = before.is_some_and(|before| {
            before.is_ascii_alphanumeric() && !(before.is_ascii_lowercase() && c.is_ascii_uppercase())
        });
        match (c.is_ascii_alphanumeric(), words.last_mut().filter(|_| joins)) {
            (true, Some(word)) => word.push(c.to_ascii_uppercase()),
            (true, None) => words.push(c.to_ascii_uppercase().to_string()),
            (false, _) => {}
        }
        before = Some(c);
    }
    words
}

/// How tokens of well-known services begin.
const MARKS: [&str; 32] = [
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xapp-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "sk-",
    "AIza",
    "ya29.",
    "eyJ",
    "npm_",
    "pypi-",
    "dckr_pat_",
    "SG.",
    "hvs.",
    "shpat_",
    "dop_v1_",
];
/// Addresses that are secrets as a whole.
const ADDRESSES: [&str; 4] =
    ["hooks.slack.com/", "discord.com/api/webhooks", "webhook.office.com/", "api.telegram.org/bot"];

/// Whether a text looks as if it held a secret: an address with a user in it, a key, a token, `password=…`.
pub fn holds_a_secret(text: &str) -> bool {
    let is_whole = text.contains("-----BEGIN") || ADDRESSES.iter().any(|address| text.contains(address));
    is_whole || has_secret_member(text) || {
        let ends = |c: char| c.is_whitespace() || "\"'`,;&?()[]{}<>|".contains(c);
        let mut pieces = text.split(ends).filter(|piece| !piece.is_empty());
        let mut before = "";
        pieces.any(|piece| {
            let told = is_secret_piece(piece) || is_introduced(before, piece);
            before = piece;
            told
        })
    }
}

/// `--token abc`, `Bearer abc`, `-u user:abc`.
fn is_introduced(before: &str, piece: &str) -> bool {
    let is_option = before.starts_with('-') && may_name_a_secret(before);
    let is_login = USER_OPTIONS.contains(&before) && is_user_and_password(piece);
    let has_value = !piece.starts_with('-') && !is_reference(piece);
    has_value && (is_option || is_login || matches!(before, "Bearer" | "Basic"))
}

/// Options of curl and its like that take a user and a password.
const USER_OPTIONS: [&str; 4] = ["-u", "--user", "-U", "--proxy-user"];

/// `user:password`; two numbers are a user and a group of the system.
fn is_user_and_password(text: &str) -> bool {
    let is_of_the_system = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let password = text.split_once(':').map(|(_, password)| password).filter(|_| !is_of_the_system);
    password.is_some_and(|password| !password.is_empty() && !is_reference(password))
}

/// `{"password": "abc"}`, also within a text in which the quotes are escaped.
fn has_secret_member(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['"', '\'']).map(|part| part.trim_end_matches('\\')).collect();
    let after = |count: usize| parts.iter().skip(count).chain([&""; 2]);
    parts.iter().zip(after(1)).zip(after(2)).any(|((name, between), value)| {
        let is_name = !name.is_empty() && !name.contains(char::is_whitespace) && may_name_a_secret(name);
        let Some(between) = between.trim().strip_prefix(':').map(str::trim) else { return false };
        let is_text = between.is_empty() && !is_reference(value) && !is_flag(value);
        is_name && (is_text || between.starts_with(|first: char| first.is_ascii_digit()))
    })
}

fn is_secret_piece(piece: &str) -> bool {
    let has_user = piece.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '#']).next().unwrap_or_default();
        // A password may hold any of these, unescaped.
        authority.contains('@') || rest.split(':').nth(1).is_some_and(|password| password.contains('@'))
    });
    let is_assigned = piece
        .split_once('=')
        .is_some_and(|(name, value)| !value.is_empty() && !is_reference(value) && may_name_a_secret(name));
    let has_login = piece.strip_prefix("-u").is_some_and(is_user_and_password);
    let parts = || piece.split(['=', ':', '/', '@']);
    let is_marked =
        |part: &str| MARKS.iter().any(|mark| part.strip_prefix(mark).is_some_and(|rest| rest.len() >= 8));
    has_user || has_login || is_assigned || parts().any(is_marked)
}

/// Whether a text holds a secret, or something that looks as random as one.
pub fn may_hold_a_secret(text: &str) -> bool {
    let separates = |c: char| !c.is_ascii_alphanumeric() && !"+_-".contains(c);
    holds_a_secret(text) || text.split(separates).any(is_random)
}

/// At least 24 characters, with capitals, small letters and digits all through: no name, and no digest.
fn is_random(part: &str) -> bool {
    let count = |is: fn(&u8) -> bool| part.bytes().filter(is).count();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    part.len() >= 24 && upper >= 4 && lower >= 4 && digits >= 2
}

/// Free text without what looks like a secret: for what others say, such as an error of AWS.
pub fn scrubbed(text: &str) -> Cow<'_, str> {
    if !may_hold_a_secret(text) {
        return Cow::Borrowed(text);
    }
    let text = text.split("-----BEGIN").next().unwrap_or_default();
    let mut scrubbed = String::with_capacity(text.len());
    let mut before = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if may_hold_a_secret(bare) || holds_a_secret(&format!("{before} {bare}")) {
            scrubbed.push_str(HIDDEN);
            scrubbed.push_str(word.get(bare.len()..).unwrap_or_default());
            before.clear();
        } else {
            scrubbed.push_str(word);
            bare.clone_into(&mut before);
        }
    }
    Cow::Owned(scrubbed)
}

/// Free text without these values and what else looks like a secret.
pub fn without<'v>(text: &str, values: impl IntoIterator<Item = &'v str>) -> String {
    let mut values: Vec<&str> = values.into_iter().collect();
    // A part of one must not leave the rest of it behind.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let text = values.iter().fold(text.to_owned(), |text, value| text.replace(value, HIDDEN));
    let begun = values.iter().filter_map(|value| begun_at_the_end(&text, value)).max();
    let whole = text.get(..text.len().saturating_sub(begun.unwrap_or_default())).unwrap_or_default();
    let text = if begun.is_some() { format!("{whole}{HIDDEN}") } else { text };
    scrubbed(&text).into_owned()
}

/// How many bytes of the value a text that was cut short ends with. Fewer than these are the end of any sentence.
fn begun_at_the_end(text: &str, value: &str) -> Option<usize> {
    const FEWEST: usize = 6;
    let lengths = value.char_indices().map(|(length, _)| length).filter(|length| *length >= FEWEST);
    lengths.rev().find(|length| value.get(..*length).is_some_and(|begun| text.ends_with(begun)))
}
