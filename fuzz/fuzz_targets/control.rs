#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| datasoup_fuzz::control::run(data));
