# Read by way of .cargo/config.toml: the quickjs backend of deno_core takes simde from libsimde-dev.
set(FETCHCONTENT_SOURCE_DIR_SIMDE "/usr/include" CACHE PATH "")
