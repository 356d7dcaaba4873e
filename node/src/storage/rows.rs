//! The tables of the database, and what its rows share with every store: [`cubecast_core::store::rows`].

pub(super) use cubecast_core::store::rows::*;
use redb::TableDefinition;

pub(super) type Value = &'static [u8];

pub(super) const META: TableDefinition<'static, u8, Value> = TableDefinition::new("meta");
pub(super) const HARD_STATE: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("hard_state");
pub(super) const CHECKPOINT: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("checkpoint");
/// Group and index.
pub(super) const LOG: TableDefinition<'static, (GroupCode, u64), Value> = TableDefinition::new("log");
/// Group, topic, and the offset of the last message in the row.
pub(super) type MessageKey = (GroupCode, u64, u64);

pub(super) const MESSAGES: TableDefinition<'static, MessageKey, Value> = TableDefinition::new("messages");
/// Group and topic whose messages are on their way out: too many to delete in one transaction.
pub(super) const DROPPING: TableDefinition<'static, (GroupCode, u64), Value> = TableDefinition::new("dropping");
pub(super) const OUTBOX: TableDefinition<'static, u64, Value> = TableDefinition::new("outbox");
/// Groups whose log lost its end, until the node has taken a new identity.
pub(super) const CUT: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("cut");
