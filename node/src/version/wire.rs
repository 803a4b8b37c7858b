//! Reading and writing the few shapes that the stored formats are made of.
//!
//! Numbers that tend to be small are LEB128, in their shortest form only, so that one value has one encoding.

/// Appends `n` in its shortest LEB128 form.
pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n.to_le_bytes()[0] & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}

/// The bytes ended early, or a number was not in its shortest form.
#[derive(Debug)]
pub(super) enum Malformed {
    Truncated,
    Number,
}

/// A cursor over bytes that came from a disk or a peer.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit; a last byte of zero would be a longer form of a shorter number.
            if (shift == 63 && bits > 1) || (byte == 0 && shift > 0) {
                return Err(Malformed::Number);
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Malformed::Number)
    }

    /// A count of things that take at least `least` bytes each, so that a lie in the count cannot reserve memory.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let n = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
        if n > self.left() / least { Err(Malformed::Truncated) } else { Ok(n) }
    }
}
