//! A bottleneck for tests.
