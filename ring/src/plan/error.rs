use crate::LayoutError;

/// Why there is no layout for these members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Epochs rise.
    #[error("epoch {epoch} is not above that of the stable layout, {stable}")]
    Epoch {
        /// Of the layout that serves.
        stable: u64,
        /// That was asked for.
        epoch: u64,
    },
    /// The members themselves will not do.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The network had no flow, which the way its bounds are made rules out.
    #[error("no placement satisfies the bounds: this is a fault in the planner")]
    NoFlow,
}
