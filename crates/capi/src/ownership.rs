//! Who owns what outside, and when a look at the outside may be acted on.
//!
//! Before the first effect outside, a [`Claim`] is stored with the object, and its token travels with whatever is made. What is outside belongs to an
//! object only if it carries the token *and* the object's namespace and name, for a copied manifest copies its token.
//!
//! [`Grounds`] is what one process knows of its own effects on one object. A cache is not wrong to be old; it is wrong to make or let go on the word of
//! a look that may have missed something still on its way.

use std::time::Duration;

use capstead_reconcile::{Timestamp, later};
use kube::ResourceExt;

use crate::crd::ContractKind;
use crate::meta;

/// The annotation with the ownership token. Annotations survive a move to another management cluster, status does not.
pub const TOKEN: &str = "capstead.io/ownership-token";
/// The annotation with the chosen placement.
pub const PLACEMENT: &str = "capstead.io/placement";
/// The annotation by which a person lets an object go although what it owns cannot be taken away; with any value.
pub const FORCE_RELEASE: &str = "capstead.io/force-release";

/// The token and placement stored with an object before anything is made for it. Neither ever changes after that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The uid the object had when the claim was stored: unique, and the same however often the write is tried.
    pub token: String,
    /// Where its things are made, in the provider's own terms; empty where there is only one place.
    pub placement: String,
}

impl Claim {
    /// The claim in an object's annotations; `None` without a token.
    #[must_use]
    pub fn read(object: &impl ResourceExt) -> Option<Self> {
        let annotations = object.annotations();
        let token = annotations.get(TOKEN).filter(|token| !token.is_empty())?.clone();
        Some(Self { token, placement: annotations.get(PLACEMENT).cloned().unwrap_or_default() })
    }

    /// Writes the claim into an object's annotations.
    pub fn write(&self, object: &mut impl ResourceExt) {
        let annotations = object.annotations_mut();
        annotations.insert(TOKEN.to_owned(), self.token.clone());
        annotations.insert(PLACEMENT.to_owned(), self.placement.clone());
    }
}

/// Gives an object that is being created the provider's finalizer, unless a manager with this watch filter (empty for none) leaves the object alone.
///
/// A finalizer that is stored later may not hold the object: a deletion that read it before goes on without
/// ([kubernetes#77988](https://github.com/kubernetes/kubernetes/issues/77988)).
pub fn hold_from_birth<K: ContractKind>(object: &mut K, filter: &str) {
    if meta::matches_watch_filter(object, filter) && !meta::externally_managed(object) && !meta::has_finalizer(object, K::FINALIZER) {
        object.finalizers_mut().push(K::FINALIZER.to_owned());
    }
}

/// Which looks at the outside show all that was ever made for one object, as far as this process can know. Kept per object uid, lost with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grounds {
    /// This process stored the object's token itself, heard that it did, and nothing was made since, or sent: nothing can be there, and no look is needed.
    NothingMade,
    /// Only a look that began after this time.
    After(Timestamp),
}

impl Grounds {
    /// For an object of unknown past. `since` is when this process became the only one to act (its start, or when it became leader); what an earlier
    /// one sent last lands within `landing` of it.
    #[must_use]
    pub fn unknown(since: Timestamp, landing: Duration) -> Self {
        Self::After(later(since, landing))
    }

    /// Just before something is made: until its outcome is heard, it may land at any time within `landing`.
    #[must_use]
    pub fn sending(self, now: Timestamp, landing: Duration) -> Self {
        match self {
            Self::NothingMade => Self::After(later(now, landing)),
            Self::After(time) => Self::After(time.max(later(now, landing))),
        }
    }

    /// It was heard for certain that what was to be made was never sent, or refused: what was known `before` it holds.
    #[must_use]
    pub fn refused(before: Self, now: Timestamp) -> Self {
        if before == Self::NothingMade { before } else { Self::After(now) }
    }

    /// The outcome was heard for certain: a look that begins now sees it.
    #[must_use]
    pub fn heard(self, now: Timestamp) -> Self {
        Self::After(now)
    }

    /// Until when what was last made counts as just made, `brief` after it was heard of; `None` when nothing was made.
    #[must_use]
    pub fn fresh_until(self, brief: Duration) -> Option<Timestamp> {
        match self {
            Self::NothingMade => None,
            Self::After(time) => Some(later(time, brief)),
        }
    }

    /// Whether a look that began then shows everything; `None` is no look at all.
    #[must_use]
    pub fn cover(self, began: Option<Timestamp>) -> bool {
        match self {
            Self::NothingMade => true,
            Self::After(time) => began.is_some_and(|began| began > time),
        }
    }

    /// When to look again so that the look is good enough; never before `now`.
    #[must_use]
    pub fn look_at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::NothingMade => now,
            // The look must begin after, not at, that time.
            Self::After(time) => later(time, Duration::from_millis(1)).max(now),
        }
    }
}

#[cfg(test)]
mod tests;
