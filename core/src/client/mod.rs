//! What a client decides: where to go, when to retry, whom to fall over to.
