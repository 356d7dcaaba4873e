//! The group's part in snapshot transfers: offering, answering, receiving and installing.

use raft::SnapshotStatus;
use raft::eraftpb::{Message, MessageType};

use super::snapshot::{Piece, Receiving, Sending, TransferStep};
use super::{Group, GroupEffect, message};
use crate::bugs::Bug;
use crate::identity::Member;
use crate::names::{Offset, TopicId};
use crate::records::StoredMessage;
use crate::store::Write;
use crate::time::Instant;
use crate::wire::peer::{RaftMessage, SnapshotFrame};

impl Group {
    /// Raft requests the sending of a snapshot: offers the current state.
    pub(super) fn offer_snapshot(&mut self, now: Instant, mut message: Message) {
        let Some(to) = Member::from_raft(message.to) else { return };
        let (index, term) = self.raw.store().applied();
        message.set_snapshot(message::snapshot_to_raft(index, term, self.raw.store().members().clone()));
        let Some(message) = message::from_raft(message) else { return };
        self.next_transfer = self.next_transfer.wrapping_add(1);
        let mut sending = Sending::new(now, self.next_transfer, to, &self.topics);
        if self.bugs.has(Bug::SnapshotForgetsRepeats) {
            sending.state = self.topics.without_dedup().encode();
        }
        let frame = SnapshotFrame::Offer {
            transfer: sending.transfer,
            message: Box::new(message),
            state_bytes: sending.state.len() as u64,
        };
        self.sending.insert(to, sending);
        self.effects.push(GroupEffect::SendSnapshot { to, frame });
    }

    /// Handles a member's frame of a transfer. Only the frame itself vouches for `from`, but a sender can request
    /// nothing beyond the offer.
    pub fn handle_snapshot(&mut self, now: Instant, from: Member, frame: SnapshotFrame) {
        match frame {
            SnapshotFrame::Offer { transfer, message, state_bytes } => {
                self.take_offer(now, from, transfer, *message, state_bytes)
            }
            SnapshotFrame::State { transfer, from_byte, bytes } => self.take_state(now, transfer, from_byte, &bytes),
            SnapshotFrame::Messages { transfer, topic, from, messages } => {
                self.take_messages(now, transfer, topic, from, messages)
            }
            SnapshotFrame::Gone { transfer } => {
                self.receiving.take_if(|receiving| receiving.transfer == transfer).map_or((), drop)
            }
            SnapshotFrame::Done { transfer, installed } => self.finish_sending(from, transfer, installed),
            SnapshotFrame::FetchState { transfer, .. } | SnapshotFrame::FetchMessages { transfer, .. } => {
                self.answer_fetch(now, from, transfer, &frame)
            }
        }
    }

    fn answer_fetch(&mut self, now: Instant, from: Member, transfer: u64, frame: &SnapshotFrame) {
        let Some(sending) = self.sending.get_mut(&from).filter(|sending| sending.transfer == transfer) else {
            self.effects.push(GroupEffect::SendSnapshot { to: from, frame: SnapshotFrame::Gone { transfer } });
            return;
        };
        match sending.handle_fetch(now, frame) {
            Piece::Answer(frame) => self.effects.push(GroupEffect::SendSnapshot { to: from, frame }),
            Piece::Read { topic, from: offset, end } => {
                self.effects.push(GroupEffect::ReadForSnapshot { to: from, transfer, topic, from: offset, end });
            }
            Piece::Nothing => {}
        }
    }

    /// Messages for a receiver were read from disk.
    pub fn handle_read_for_snapshot(
        &mut self,
        to: Member,
        transfer: u64,
        topic: TopicId,
        from: Offset,
        messages: Vec<StoredMessage>,
    ) {
        if self.sending.get(&to).is_some_and(|sending| sending.transfer == transfer) {
            let frame = SnapshotFrame::Messages { transfer, topic, from, messages };
            self.effects.push(GroupEffect::SendSnapshot { to, frame });
        }
    }

    fn finish_sending(&mut self, from: Member, transfer: u64, installed: bool) {
        if self.sending.get(&from).is_some_and(|sending| sending.transfer == transfer) {
            self.sending.remove(&from);
            self.report_snapshot(from, if installed { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
        }
    }

    fn report_snapshot(&mut self, to: Member, status: SnapshotStatus) {
        if self.is_leader() && self.raw.raft.prs().get(to.to_raft()).is_some() {
            self.dirty = true;
            self.raw.report_snapshot(to.to_raft(), status);
        }
    }

    fn take_offer(&mut self, now: Instant, from: Member, transfer: u64, message: RaftMessage, state_bytes: u64) {
        let sound =
            message.to == self.me && message.kind == MessageType::MsgSnapshot as i32 && message.term >= self.term();
        let useful = message.snapshot.as_ref().is_some_and(|head| head.index > self.commit_index());
        if !sound || self.receiving.as_ref().is_some_and(|receiving| receiving.is_newer_than(transfer, &message)) {
            return;
        }
        if !useful {
            // Raft answers with this member's progress, and the leader continues from there.
            self.step_snapshot(message);
            self.effects
                .push(GroupEffect::SendSnapshot { to: from, frame: SnapshotFrame::Done { transfer, installed: true } });
            return;
        }
        let mut receiving = Receiving::new(now, from, transfer, message, state_bytes);
        let frame = receiving.ask(now);
        self.receiving = Some(receiving);
        self.effects.push(GroupEffect::SendSnapshot { to: from, frame });
    }

    fn take_state(&mut self, now: Instant, transfer: u64, from_byte: u64, bytes: &[u8]) {
        let (topics, staged) = (&self.topics, &self.staged);
        let believes_all = self.bugs.has(Bug::SnapshotComesWithoutMessages);
        let held = |id: TopicId| {
            if believes_all {
                return Offset(u64::MAX);
            }
            let known = topics.topic_by_id(id).map_or(Offset(0), |topic| topic.end);
            staged.get(&id).copied().unwrap_or(Offset(0)).max(known)
        };
        let Some(receiving) = self.receiving.as_mut().filter(|receiving| receiving.transfer == transfer) else {
            return;
        };
        let progress = receiving.handle_state(now, from_byte, bytes, held);
        self.go_on_receiving(progress);
    }

    fn take_messages(
        &mut self,
        now: Instant,
        transfer: u64,
        topic: TopicId,
        from: Offset,
        messages: Vec<StoredMessage>,
    ) {
        let Some(receiving) = self.receiving.as_mut().filter(|receiving| receiving.transfer == transfer) else {
            return;
        };
        let Some(progress) = receiving.handle_messages(now, topic, from, &messages) else { return };
        let (received, total) = receiving.progress();
        self.staged.insert(topic, Offset(from.0 + messages.len() as u64));
        self.effects.push(GroupEffect::Write(Write::Messages { group: self.id, topic, messages }));
        self.effects.push(GroupEffect::SnapshotProgress { received, total });
        self.go_on_receiving(progress);
    }

    fn go_on_receiving(&mut self, progress: TransferStep) {
        let Some(receiving) = &self.receiving else { return };
        let (to, transfer) = (receiving.from, receiving.transfer);
        match progress {
            TransferStep::Ask(frame) => self.effects.push(GroupEffect::SendSnapshot { to, frame }),
            TransferStep::Complete { message, topics } => {
                self.receiving = None;
                self.arrived = Some(*topics);
                self.step_snapshot(*message);
                if self.raw.snap().is_none() {
                    self.arrived = None;
                }
                self.effects
                    .push(GroupEffect::SendSnapshot { to, frame: SnapshotFrame::Done { transfer, installed: true } });
            }
            TransferStep::Broken(why) => {
                self.receiving = None;
                self.effects
                    .push(GroupEffect::SendSnapshot { to, frame: SnapshotFrame::Done { transfer, installed: false } });
                self.effects.push(GroupEffect::Trouble(format!("a snapshot from {to} is unusable: {why}")));
            }
            TransferStep::Nothing => {}
        }
    }

    fn step_snapshot(&mut self, message: RaftMessage) {
        if let Ok(message) = message::to_raft(message, &mut self.decoded) {
            self.dirty = true;
            let _ignored_by_raft = self.raw.step(message);
        }
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.receiving.is_some() || !self.sending.is_empty()
    }

    /// Called at every tick: repeats requests for lost frames, and gives up transfers without progress.
    pub(super) fn retry_transfers(&mut self, now: Instant) {
        if let Some(receiving) = &mut self.receiving {
            if receiving.is_given_up(now) {
                self.receiving = None;
            } else if receiving.must_ask_again(now) {
                let (to, frame) = (receiving.from, receiving.ask(now));
                self.effects.push(GroupEffect::SendSnapshot { to, frame });
            }
        }
        let leads = self.is_leader();
        let over: Vec<Member> =
            self.sending.iter().filter(|(_, sending)| !leads || sending.is_given_up(now)).map(|(to, _)| *to).collect();
        for to in over {
            self.sending.remove(&to);
            self.report_snapshot(to, SnapshotStatus::Failure);
        }
    }

    /// A topic was deleted: offers that include it cannot be completed. Raft will send a new offer.
    pub(super) fn cancel_transfers_of(&mut self, topic: TopicId) {
        let hit: Vec<Member> =
            self.sending.iter().filter(|(_, sending)| sending.offers(topic)).map(|(to, _)| *to).collect();
        for to in hit {
            let Some(sending) = self.sending.remove(&to) else { continue };
            let frame = SnapshotFrame::Gone { transfer: sending.transfer };
            self.effects.push(GroupEffect::SendSnapshot { to, frame });
            self.report_snapshot(to, SnapshotStatus::Failure);
        }
    }
}
