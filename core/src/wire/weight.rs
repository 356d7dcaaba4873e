//! The approximate sizes of frames on their way to a client.

use super::answer::{Answer, Done, Message, ServerFrame};
use super::client::RequestId;

impl ServerFrame {
    /// The approximate size of the frame on its way to a client, in bytes. The node that fills a client's queue and the
    /// runtime that drains it both count in this measure, independent of the client's encoding.
    pub fn weight(&self) -> u64 {
        const FRAME: u64 = 128;
        match self {
            ServerFrame::Answer(answer) => FRAME + answer.weight(),
            ServerFrame::Message(delivery) => FRAME + delivery.message.weight(),
            ServerFrame::Event(_) => 2 * FRAME,
            ServerFrame::SubscriptionEnded(_) => FRAME,
        }
    }
}

impl Answer {
    fn weight(&self) -> u64 {
        let id = self.id.as_ref().map_or(0, RequestId::size) as u64;
        id + self.result.as_ref().map_or_else(|failure| failure.message.len() as u64, Done::weight)
    }
}

impl Done {
    fn weight(&self) -> u64 {
        const ITEM: u64 = 128;
        match self {
            Done::Pulled { messages, .. } => messages.iter().map(Message::weight).sum(),
            Done::Topics { topics, .. } => ITEM * topics.len() as u64,
            Done::Cluster(view) => ITEM * (view.nodes.len() + view.links.len()) as u64,
            Done::Status(status) => 2 * ITEM * (status.groups.len() + status.links.len()) as u64,
            _ => ITEM,
        }
    }
}

impl Message {
    fn weight(&self) -> u64 {
        64 + self.publisher.as_str().len() as u64 + self.content.len() as u64
    }
}
