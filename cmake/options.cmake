# Flags of every target. TIDINGS_SANITIZE: "", "address,undefined" or "thread".
set(TIDINGS_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize takes them")

add_library(tidings_options INTERFACE)
target_include_directories(tidings_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(tidings_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # SSE 4.2 and POPCNT, which every x86-64 server since 2009 has: without it GCC counts bits by a call.
  target_compile_options(tidings_options INTERFACE -march=x86-64-v2)
endif()
if(CMAKE_UNITY_BUILD)
  # GCC takes an included .cpp for a header (subobject-linkage), and 12 the operators of an inlined coroutine frame for
  # a mismatch.
  target_compile_options(tidings_options INTERFACE -Wno-subobject-linkage -Wno-mismatched-new-delete)
endif()
if(TIDINGS_SANITIZE)
  # The three that are off cost as much to compile as all others together, and alignment a third of what is made with
  # Asio: it is checked where bytes are read. Decision 18.
  set(readers_of_bytes "tidings_core;tidings_events;tidings_projections")
  target_compile_options(tidings_options INTERFACE -fsanitize=${TIDINGS_SANITIZE} -fno-sanitize-recover=all
                         -fno-sanitize=null,object-size,vptr
                         "$<$<NOT:$<IN_LIST:$<TARGET_PROPERTY:NAME>,${readers_of_bytes}>>:-fno-sanitize=alignment>")
  target_link_options(tidings_options INTERFACE -fsanitize=${TIDINGS_SANITIZE})
endif()
