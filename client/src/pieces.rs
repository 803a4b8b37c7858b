//! An answer that came in pieces, put together again. Pure.

use bytes::{Bytes, BytesMut};
use dynamo_proto::v1::get_piece::Piece;
use dynamo_proto::v1::{GetPiece, GetResponse, Sibling, VersionHead, VersionPiece};

/// Why no answer comes of the pieces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PieceError {
    /// More than this client takes.
    #[error(
        "the versions of the key have {bytes} bytes together, and this client takes {most} (Options::largest_answer): \
         give it more, or settle them with a write"
    )]
    TooLarge {
        /// As the head says.
        bytes: u64,
        /// As the client was told.
        most: usize,
    },
    /// They do not fit together: the answer was cut short, or one of the two programs is at fault.
    #[error("the pieces of the answer do not fit together: {0}")]
    Broken(&'static str),
}

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    most: usize,
    answer: Option<GetResponse>,
    versions: usize,
    /// Bytes of all values that are still to come.
    left: u64,
    /// The version that is coming.
    head: VersionHead,
    value: BytesMut,
}

impl Pieces {
    /// Takes up to so many bytes of values.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, piece: GetPiece) -> Result<(), PieceError> {
        match (piece.piece, &mut self.answer) {
            (Some(Piece::Head(head)), None) => {
                let bytes = head.bytes;
                if usize::try_from(bytes).map_or(true, |bytes| bytes > self.most) {
                    return Err(PieceError::TooLarge { bytes, most: self.most });
                }
                self.left = bytes;
                self.versions = usize::try_from(head.versions).unwrap_or(usize::MAX);
                self.answer = Some(head.answer.unwrap_or_default());
                Ok(())
            }
            (Some(Piece::Version(VersionPiece { begins, data })), Some(answer)) => {
                if let Some(head) = begins {
                    if self.value.len() as u64 != self.head.bytes {
                        return Err(PieceError::Broken("a version is not whole"));
                    }
                    if answer.siblings.len() >= self.versions {
                        return Err(PieceError::Broken("more versions than were announced"));
                    }
                    if head.bytes > self.left {
                        return Err(PieceError::Broken("more bytes than were announced"));
                    }
                    self.left -= head.bytes;
                    self.head = head;
                    let room = usize::try_from(head.bytes).unwrap_or_default();
                    self.value = BytesMut::with_capacity(room);
                    answer.siblings.push(Sibling::default());
                }
                let Some(sibling) = answer.siblings.last_mut() else {
                    return Err(PieceError::Broken("a value without a version"));
                };
                self.value.extend_from_slice(&data);
                if self.value.len() as u64 > self.head.bytes {
                    return Err(PieceError::Broken("a value is longer than it was announced"));
                }
                if self.value.len() as u64 == self.head.bytes {
                    let VersionHead { written_at_ms, expires_at_ms, .. } = self.head;
                    let value: Bytes = std::mem::take(&mut self.value).freeze();
                    *sibling = Sibling { value, written_at_ms, expires_at_ms };
                    self.head.bytes = 0;
                }
                Ok(())
            }
            (Some(Piece::Head(_)), Some(_)) => Err(PieceError::Broken("two heads")),
            (Some(Piece::Version(_)), None) => Err(PieceError::Broken("no head")),
            (None, _) => Err(PieceError::Broken("a piece of an unknown kind")),
        }
    }

    /// The answer, once all has come.
    pub(crate) fn whole(self) -> Result<GetResponse, PieceError> {
        match self.answer {
            Some(answer)
                if answer.siblings.len() == self.versions && self.left == 0 && self.head.bytes == 0 =>
            {
                Ok(answer)
            }
            _ => Err(PieceError::Broken("the stream ended before the answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use dynamo_proto::v1::GetHead;
    use proptest::prelude::*;

    use super::*;

    fn head(versions: u32, bytes: u64) -> GetPiece {
        let answer = Some(GetResponse { answered: 2, ..GetResponse::default() });
        GetPiece { piece: Some(Piece::Head(GetHead { answer, versions, bytes })) }
    }

    fn begin(bytes: u64, data: &'static [u8]) -> GetPiece {
        let begins = Some(VersionHead { bytes, written_at_ms: bytes, expires_at_ms: None });
        GetPiece { piece: Some(Piece::Version(VersionPiece { begins, data: data.into() })) }
    }

    fn more(data: &'static [u8]) -> GetPiece {
        GetPiece { piece: Some(Piece::Version(VersionPiece { begins: None, data: data.into() })) }
    }

    fn put_together(pieces: Vec<GetPiece>) -> Result<Vec<Vec<u8>>, PieceError> {
        let mut coming = Pieces::new(10);
        for piece in pieces {
            coming.take(piece)?;
        }
        Ok(coming.whole()?.siblings.into_iter().map(|sibling| sibling.value.to_vec()).collect())
    }

    #[test]
    fn versions_come_in_one_piece_or_in_several() {
        let pieces =
            vec![head(3, 7), begin(5, b"ab"), more(b"cd"), more(b"e"), begin(0, b""), begin(2, b"fg")];
        assert_eq!(put_together(pieces), Ok(vec![b"abcde".to_vec(), Vec::new(), b"fg".to_vec()]));
        assert_eq!(put_together(vec![head(0, 0)]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_too_much_is_not_taken_and_what_is_not_whole_is_no_answer() {
        assert_eq!(put_together(vec![head(1, 11)]), Err(PieceError::TooLarge { bytes: 11, most: 10 }));
        let broken = [
            vec![],
            vec![head(1, 2)],
            vec![head(1, 2), begin(2, b"a")],
            vec![head(2, 2), begin(2, b"ab")],
            vec![head(2, 4), begin(2, b"a"), begin(2, b"ab")],
            vec![head(1, 2), begin(2, b"ab"), begin(0, b"")],
            vec![head(1, 2), begin(3, b"abc")],
            vec![head(1, 2), begin(2, b"abc")],
            vec![head(1, 2), begin(2, b"ab"), more(b"c")],
            vec![head(1, 2), more(b"ab")],
            vec![head(1, 3), begin(2, b"ab")],
            vec![begin(2, b"ab")],
            vec![head(0, 0), head(0, 0)],
            vec![head(0, 0), GetPiece::default()],
        ];
        for pieces in broken {
            let said = format!("{pieces:?}");
            assert!(matches!(put_together(pieces), Err(PieceError::Broken(_))), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_pieces_make_it_panic(pieces in prop::collection::vec((0u8..3, 0u32..4, 0u64..12, 0usize..6), 0..12)) {
            let mut coming = Pieces::new(10);
            for (kind, versions, bytes, len) in pieces {
                let piece = match kind {
                    0 => head(versions, bytes),
                    1 => begin(bytes, &b"abcdef"[..len]),
                    _ => more(&b"abcdef"[..len]),
                };
                let _ = coming.take(piece);
            }
            let _ = coming.whole();
        }
    }
}
