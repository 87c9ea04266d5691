//! Sets the linker options with which Node.js can load the crate as an addon.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
