//! The rows of the topic table: which topics, in which order.
//!
//! Everything that costs time with thousands of topics is kept between redraws: the lower-case names until a topic is
//! created or deleted, the order until the sorted values change, the found rows until the filter changes. A filter that
//! was only extended looks at the rows that were found before. So a typed character costs at most one comparison of
//! each of these rows, and no sorting.

use cubecast_core::names::TopicName;

use super::rates::RateHistory;
use super::shared::Shared;
use super::topics::{TopicBook, TopicInfo};

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    Writable,
    Name,
    Rate,
    Messages,
    Lag,
}

/// The order of the rows. Topics whose value is unknown come last. Equal values are in the order of their names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    pub by: Column,
    pub is_descending: bool,
}

/// The rows, kept between redraws.
#[derive(Debug, Default)]
pub struct TopicRows {
    /// By name.
    names: Vec<Name>,
    /// The set of topics that `names` contains.
    set: Option<Shared<()>>,
    /// All rows in order, as indices of `names`.
    sorted: Vec<u32>,
    sorted_by: Option<(Order, Shared<RateHistory>)>,
    /// The rows that match the filter, in order.
    found: Vec<u32>,
    filter: Option<String>,
    /// The work that was done so far.
    pub work: Work,
}

/// Numbers of topics that were processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Names converted to lower case.
    pub named: usize,
    pub sorted: usize,
    /// Compared with a filter.
    pub matched: usize,
}

#[derive(Debug)]
struct Name {
    topic: TopicName,
    /// As displayed, in lower case.
    lower: String,
}

/// A key and a row in one number, so that sorting is quick and its code small: the key takes the upper bits.
const ROW_BITS: u32 = 24;
const UNKNOWN: u64 = (1 << (u64::BITS - ROW_BITS)) - 1;

impl Column {
    /// All columns, from left to right, with their names in the browser's storage.
    pub const ALL: [(Column, &'static str); 5] = [
        (Column::Writable, "writable"),
        (Column::Name, "name"),
        (Column::Rate, "rate"),
        (Column::Messages, "messages"),
        (Column::Lag, "lag"),
    ];

    /// The name used in the browser's storage and in tests.
    pub fn name(self) -> &'static str {
        Column::ALL.iter().find(|(column, _)| *column == self).map_or("", |(_, name)| *name)
    }
}

impl Order {
    /// The order after a click on the header of a column: of another column its usual order, then the reverse. The
    /// largest numbers come first, and topics that cannot be written.
    pub fn clicked(self, column: Column) -> Order {
        match self.by == column {
            true => Order { is_descending: !self.is_descending, ..self },
            false => {
                Order { by: column, is_descending: matches!(column, Column::Rate | Column::Messages | Column::Lag) }
            }
        }
    }

    /// For the browser's storage.
    pub fn write(self) -> String {
        format!("{}{}", if self.is_descending { "-" } else { "" }, self.by.name())
    }

    /// `None`: another version wrote the text.
    pub fn read(text: &str) -> Option<Order> {
        let name = text.strip_prefix('-');
        let found = Column::ALL.iter().find(|(_, column)| *column == name.unwrap_or(text));
        found.map(|(by, _)| Order { by: *by, is_descending: name.is_some() })
    }
}

impl Default for Order {
    fn default() -> Order {
        Order { by: Column::Name, is_descending: false }
    }
}

impl TopicRows {
    /// Brings the rows up to date. `key`: the value of the sorted column; `None` if it is unknown. Rows that are sorted
    /// by a value are sorted again once a second, when `rates` change, so that they do not jump about.
    pub fn update(
        &mut self,
        book: &TopicBook,
        rates: &Shared<RateHistory>,
        order: Order,
        filter: &str,
        key: impl Fn(&TopicName, &TopicInfo) -> Option<u64>,
    ) {
        if self.set.as_ref() != Some(&book.names) {
            self.set = Some(book.names.clone());
            self.name(book);
            self.sorted_by = None;
        }
        let is_sorted = self
            .sorted_by
            .as_ref()
            .is_some_and(|(sorted, at)| *sorted == order && (order.by == Column::Name || at == rates));
        if !is_sorted {
            self.sort(book, order, key);
            self.sorted_by = Some((order, rates.clone()));
            self.filter = None;
        }
        self.find(filter);
    }

    /// The number of rows that match the filter.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether no row matches.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The topic of a row.
    pub fn topic(&self, row: usize) -> Option<&TopicName> {
        self.found.get(row).map(|name| &self.names[*name as usize].topic)
    }

    fn name(&mut self, book: &TopicBook) {
        let name = |topic: &TopicName| Name { topic: topic.clone(), lower: topic.to_string().to_lowercase() };
        self.names = book.topics.keys().map(name).collect();
        self.work.named += self.names.len();
    }

    fn sort(&mut self, book: &TopicBook, order: Order, key: impl Fn(&TopicName, &TopicInfo) -> Option<u64>) {
        let rows = 0..self.names.len() as u32;
        if order.by == Column::Name {
            self.sorted = if order.is_descending { rows.rev().collect() } else { rows.collect() };
            return;
        }
        let packed = |(row, (topic, info)): (usize, (&TopicName, &TopicInfo))| {
            let key = key(topic, info).map_or(UNKNOWN, |key| {
                let key = key.min(UNKNOWN - 1);
                if order.is_descending { UNKNOWN - 1 - key } else { key }
            });
            key << ROW_BITS | row as u64
        };
        let mut keys: Vec<u64> = book.topics.iter().enumerate().map(packed).collect();
        keys.sort_unstable();
        self.work.sorted += keys.len();
        self.sorted = keys.into_iter().map(|key| (key & ((1 << ROW_BITS) - 1)) as u32).collect();
    }

    fn find(&mut self, filter: &str) {
        let wanted = filter.trim().to_lowercase();
        let known = self.filter.as_deref();
        if known == Some(&wanted) {
            return;
        }
        // Every row that contains the longer text contains the shorter one.
        let is_extended = known.is_some_and(|known| wanted.contains(known));
        let among = if is_extended { std::mem::take(&mut self.found) } else { self.sorted.clone() };
        self.found = match wanted.is_empty() {
            true => among,
            false => {
                self.work.matched += among.len();
                among.into_iter().filter(|row| self.names[*row as usize].lower.contains(&wanted)).collect()
            }
        };
        self.filter = Some(wanted);
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::Offset;

    use super::*;
    use crate::testing::named;

    const MANY: usize = 10_000;

    fn book(count: usize) -> TopicBook {
        let mut book = TopicBook::default();
        for number in 0..count {
            book.learn_created(&format!("Topic-{number:05}").parse().unwrap(), named("100"));
        }
        book
    }

    /// The table as the page uses it. Numbers of messages from a million on count as unknown.
    struct Table {
        rows: TopicRows,
        book: TopicBook,
        rates: Shared<RateHistory>,
        order: Order,
    }

    impl Table {
        fn new(count: usize, by: Column) -> Table {
            let order = if by == Column::Name { Order::default() } else { Order::default().clicked(by) };
            Table { rows: TopicRows::default(), book: book(count), rates: Shared::default(), order }
        }

        /// Updates, and returns the work that it took.
        fn work(&mut self, filter: &str) -> Work {
            let before = self.rows.work;
            self.rows.update(&self.book, &self.rates, self.order, filter, |_, info| {
                (info.messages < 1_000_000).then_some(info.messages)
            });
            let after = self.rows.work;
            Work {
                named: after.named - before.named,
                sorted: after.sorted - before.sorted,
                matched: after.matched - before.matched,
            }
        }

        fn store(&mut self, topic: &str, messages: u64) {
            self.book.learn_stored(&topic.parse().unwrap(), named("100"), Offset(messages - 1));
        }

        fn topics(&self) -> Vec<&str> {
            (0..self.rows.len()).filter_map(|row| self.rows.topic(row)).map(TopicName::as_str).collect()
        }
    }

    #[test]
    fn a_typed_character_looks_only_at_the_rows_that_were_found_before_and_sorts_nothing() {
        let mut table = Table::new(MANY, Column::Messages);
        assert_eq!(table.work(""), Work { named: MANY, sorted: MANY, matched: 0 });
        assert_eq!(table.work("topic-00"), Work { matched: MANY, ..Work::default() });
        assert_eq!(table.work("topic-001"), Work { matched: 1_000, ..Work::default() });
        assert_eq!(table.work("topic-0012"), Work { matched: 100, ..Work::default() });
        assert_eq!(table.rows.len(), 10);
        assert_eq!(table.work("topic-001"), Work { matched: MANY, ..Work::default() }, "a character was removed");
        assert_eq!(table.rows.len(), 100);
    }

    #[test]
    fn nothing_is_done_while_nothing_changes_and_values_are_sorted_once_a_second() {
        let mut table = Table::new(MANY, Column::Messages);
        table.work("");
        assert_eq!(table.work(""), Work::default(), "typing into another field");
        table.store("Topic-00007", 5);
        assert_eq!(table.work(""), Work::default(), "a message, within the second");
        table.rates = Shared::default();
        assert_eq!(table.work(""), Work { sorted: MANY, ..Work::default() });
        assert_eq!(table.topics()[0], "Topic-00007");

        let mut table = Table::new(MANY, Column::Name);
        table.work("");
        table.rates = Shared::default();
        assert_eq!(table.work(""), Work::default(), "names do not change");
        table.store("new", 1);
        assert_eq!(table.work(""), Work { named: MANY + 1, ..Work::default() });
        assert_eq!(table.topics().last(), Some(&"new"));
    }

    #[test]
    fn rows_are_sorted_by_value_then_by_name_and_what_is_unknown_is_last_in_both_directions() {
        let mut table = Table::new(4, Column::Messages);
        table.store("Topic-00001", 7);
        table.store("Topic-00002", 9);
        table.store("Topic-00003", 2_000_000);
        table.work("");
        assert_eq!(table.topics(), ["Topic-00002", "Topic-00001", "Topic-00000", "Topic-00003"]);
        table.order = table.order.clicked(Column::Messages);
        table.work("");
        assert_eq!(table.topics(), ["Topic-00000", "Topic-00001", "Topic-00002", "Topic-00003"]);
        table.order = Order { by: Column::Name, is_descending: true };
        table.work("2");
        assert_eq!(table.topics(), ["Topic-00002"]);
    }

    #[test]
    fn a_filter_finds_what_is_displayed_whatever_the_case() {
        let mut table = Table::new(3, Column::Name);
        table.store("invis\u{200b}ible", 1);
        for (filter, count) in [(" TOPIC ", 3), ("\\u{200b}", 1), ("x", 0), ("", 4)] {
            table.work(filter);
            assert_eq!((table.rows.len(), table.rows.is_empty()), (count, count == 0), "{filter}");
        }
    }

    #[test]
    fn an_order_is_remembered_and_other_texts_are_not_believed() {
        for (by, _) in Column::ALL {
            for is_descending in [false, true] {
                let order = Order { by, is_descending };
                assert_eq!(Order::read(&order.write()), Some(order));
            }
        }
        for text in ["", "-", "size", "--rate"] {
            assert_eq!(Order::read(text), None, "{text}");
        }
        let rate = Order::default().clicked(Column::Rate);
        assert!(rate.is_descending && !rate.clicked(Column::Rate).is_descending);
        assert!(!rate.clicked(Column::Writable).is_descending);
    }
}
