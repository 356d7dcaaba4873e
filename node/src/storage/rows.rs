//! The tables of the database. [`cubecast_core::store::rows`] defines the rows, which all stores share.

pub(super) use cubecast_core::store::rows::*;
use redb::TableDefinition;

pub(super) type Value = &'static [u8];

pub(super) const META: TableDefinition<'static, u8, Value> = TableDefinition::new("meta");
pub(super) const HARD_STATE: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("hard_state");
pub(super) const CHECKPOINT: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("checkpoint");
/// Keys: group and index.
pub(super) const LOG: TableDefinition<'static, (GroupCode, u64), Value> = TableDefinition::new("log");
/// Group, topic, and the offset of the last message in the row.
pub(super) type MessageKey = (GroupCode, u64, u64);

pub(super) const MESSAGES: TableDefinition<'static, MessageKey, Value> = TableDefinition::new("messages");
/// Keys: group and topic whose messages are being deleted, because they are too many for one transaction.
pub(super) const DROPPING: TableDefinition<'static, (GroupCode, u64), Value> = TableDefinition::new("dropping");
pub(super) const OUTBOX: TableDefinition<'static, u64, Value> = TableDefinition::new("outbox");
/// Groups whose log lost its end. The rows stay until the node takes a new identity.
pub(super) const CUT: TableDefinition<'static, GroupCode, Value> = TableDefinition::new("cut");
