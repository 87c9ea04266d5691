//! Compiles what Node.js needs to load the crate as an addon.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
