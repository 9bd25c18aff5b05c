//! Floor 4: threads, run queues and everything that sleeps.
