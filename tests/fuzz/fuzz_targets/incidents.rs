#![no_main]

#[global_allocator]
static MEMORY: cubecast_decoders::memory::Counting = cubecast_decoders::memory::Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| cubecast_decoders::recordings::check_incident(input));
