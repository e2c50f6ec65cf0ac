use std::fmt;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// The shortest password, in characters: NIST SP 800-63B asks for eight where it is the only factor of a subscriber's choice;
/// twelve cost people little.
const MIN_CHARS: usize = 12;
/// The longest, in bytes. Longer ones say nothing more, and hashing is not free.
const MAX_BYTES: usize = 1024;

/// The hash of a password with argon2id, its salt and parameters, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Not a password that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {MIN_CHARS} characters and at most {MAX_BYTES} bytes")]
pub struct InvalidPassword;

impl Password {
    /// Hashes a password. Takes tens of milliseconds and 19 MiB: run it where it delays no request.
    pub fn hash(password: &str) -> Result<Self, InvalidPassword> {
        if password.chars().count() < MIN_CHARS || password.len() > MAX_BYTES {
            return Err(InvalidPassword);
        }
        let hash = hasher().hash_password(password.as_bytes()).map_err(|_| InvalidPassword)?;
        Ok(Self(hash.to_string()))
    }

    /// The hash that a store has kept.
    pub fn from_stored(hash: String) -> Self {
        Self(hash)
    }

    /// The hash, to keep.
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// Whether this is the password. As slow as hashing.
    pub fn matches(&self, password: &str) -> bool {
        password.len() <= MAX_BYTES && hasher().verify_password(password.as_bytes(), self.0.as_str()).is_ok()
    }

    /// Does what [`Self::matches`] does for a user who is not there, so that the time does not say so. Always false.
    pub fn matches_nothing(password: &str) -> bool {
        let mut out = [0; 32];
        if password.len() <= MAX_BYTES {
            // The outcome says nothing.
            let _ = hasher().hash_password_into(password.as_bytes(), &[0; 16], &mut out);
        }
        false
    }
}

/// argon2id with the smallest parameters that OWASP's cheat sheet for password storage recommends: 19 MiB, two passes, one lane.
fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_itself_alone() {
        let password = Password::hash("correct horse battery").unwrap();
        assert!(
            password.as_stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            password.as_stored()
        );
        let stored = Password::from_stored(password.as_stored().to_owned());
        assert!(stored.matches("correct horse battery") && !stored.matches("correct horse batter"));
        assert_ne!(Password::hash("correct horse battery").unwrap(), password, "each has a salt of its own");
        assert_eq!(format!("{password:?}"), "Password(hidden)");
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(Password::hash("elevenchars").is_err() && Password::hash(&"x".repeat(1025)).is_err());
        assert!(Password::hash("ðððððððððððð").is_ok(), "characters count, not bytes");
    }
}
