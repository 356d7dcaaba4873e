//! A part of the state that is cheap to clone and to compare.

use std::ops::Deref;
use std::rc::Rc;

/// Compares by identity: equal only if unchanged. A component that receives one is redrawn only after a change.
#[derive(Debug, Default)]
pub struct Shared<T>(Rc<T>);

impl<T: Clone> Shared<T> {
    /// Mutable access; other clones keep the old value.
    pub fn change(&mut self) -> &mut T {
        Rc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Rc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
