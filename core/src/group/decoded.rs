//! Commands of entries that are not applied yet, so that a member decodes each entry once: when it checks it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::MESSAGE_BYTES;
use crate::topics::command::Command;

/// The maximum bytes of entries whose commands are kept. Commands of later entries are decoded again.
const MOST_BYTES: usize = 4 * MESSAGE_BYTES as usize;

/// For each index, the data of an entry and its commands. The log may get another entry at this index, so the data
/// belongs to the key.
#[derive(Default)]
pub(super) struct DecodedEntries {
    entries: BTreeMap<u64, (Bytes, Vec<Command>)>,
    bytes: usize,
}

impl DecodedEntries {
    /// Keeps the commands of an entry until the log is applied up to it, if there is room.
    pub fn keep(&mut self, index: u64, data: &Bytes, commands: Vec<Command>) {
        self.forget(index);
        if self.bytes + data.len() <= MOST_BYTES {
            self.bytes += data.len();
            self.entries.insert(index, (data.clone(), commands));
        }
    }

    /// The commands of the entry with exactly this data: not a copy of it, the same bytes in memory. Forgets those of
    /// all entries up to it.
    pub fn take(&mut self, index: u64, data: &Bytes) -> Option<Vec<Command>> {
        while self.entries.first_key_value().is_some_and(|(first, _)| *first < index) {
            let (_, (data, _)) = self.entries.pop_first()?;
            self.bytes -= data.len();
        }
        let (kept, commands) = self.forget(index)?;
        (kept.as_ptr_range() == data.as_ptr_range()).then_some(commands)
    }

    fn forget(&mut self, index: u64) -> Option<(Bytes, Vec<Command>)> {
        let forgotten = self.entries.remove(&index)?;
        self.bytes -= forgotten.0.len();
        Some(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_belong_to_the_data_that_they_were_decoded_from() {
        let mut decoded = DecodedEntries::default();
        let (one, other) = (Bytes::from(vec![1; 10]), Bytes::from(vec![1; 10]));
        decoded.keep(5, &one, Vec::new());
        assert_eq!(decoded.take(5, &other), None, "another entry at the same index");
        decoded.keep(5, &one, Vec::new());
        assert_eq!(decoded.take(5, &one.clone()), Some(Vec::new()));
        assert_eq!(decoded.take(5, &one), None, "an entry is applied once");
        assert_eq!(decoded.bytes, 0);
    }

    #[test]
    fn applied_entries_are_forgotten_and_the_rest_is_bounded() {
        let mut decoded = DecodedEntries::default();
        let data = Bytes::from(vec![1; MESSAGE_BYTES as usize]);
        for index in 1..=6 {
            decoded.keep(index, &data, Vec::new());
            decoded.keep(index, &data, Vec::new());
        }
        assert_eq!((decoded.entries.len(), decoded.bytes), (4, MOST_BYTES));
        assert_eq!(decoded.take(6, &data), None);
        assert_eq!((decoded.entries.len(), decoded.bytes), (0, 0));
    }
}
