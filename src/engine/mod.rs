//! What the verbs mean: requests in, values and streams of progress out. Never prints, never reads argv, never exits.
