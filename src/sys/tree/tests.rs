//! Trees of friends and of enemies.
