//! Floor 0: the bitmap that is the truth about physical frames.
