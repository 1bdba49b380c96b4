// Anchor.
