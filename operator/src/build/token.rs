//! The Secret with the token that the members' Admin service asks for.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::owned;
use crate::controller::validate::Desired;
use crate::names::TOKEN_KEY;

/// The Secret around `token`. It is created once and never overwritten: members read it when they start.
pub fn token(desired: &Desired, token: &str) -> Secret {
    Secret {
        metadata: owned(desired, desired.names.token()),
        type_: Some("Opaque".into()),
        data: Some(BTreeMap::from([(TOKEN_KEY.to_owned(), ByteString(token.as_bytes().to_vec()))])),
        ..Secret::default()
    }
}

/// The token in a Secret; nothing if there is none that could be sent in a header.
pub fn read(secret: &Secret) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(TOKEN_KEY)?.0;
    let text = std::str::from_utf8(bytes).ok()?.trim();
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::desired;

    #[test]
    fn what_is_written_is_read_back() {
        let secret = token(&desired(3), "0123abcd");
        assert_eq!(secret.metadata.name.as_deref(), Some("cart-token"));
        assert_eq!(read(&secret).as_deref(), Some("0123abcd"));
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        for bad in ["", "\n", "a b", "é"] {
            assert_eq!(read(&token(&desired(3), bad)), None, "{bad:?}");
        }
    }
}
