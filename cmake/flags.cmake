# Failing system calls on request: in every build that is not for release.
if(CMAKE_BUILD_TYPE MATCHES "Rel")
  set(RP_FAULTS_DEFAULT OFF)
else()
  set(RP_FAULTS_DEFAULT ON)
endif()
option(RP_FAULTS "Tests can make the k-th system call fail" ${RP_FAULTS_DEFAULT})

# Compiler flags of everything that is ours; use target_link_libraries(t PRIVATE rp_flags).
add_library(rp_flags INTERFACE)
target_compile_options(rp_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion>
  $<$<BOOL:${RP_WERROR}>:-Werror>
  -fno-omit-frame-pointer -fno-strict-aliasing)
target_compile_definitions(rp_flags INTERFACE _GNU_SOURCE)
if(RP_FAULTS)
  # src/os/linux/fault.h: tests make the k-th system call fail.
  target_compile_definitions(rp_flags INTERFACE RP_FAULTS=1)
endif()
if(RP_SANITIZE)
  # Global: objects with and without a sanitizer must not meet in one program.
  add_compile_options(-fsanitize=${RP_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RP_SANITIZE})
  add_compile_definitions(RP_SANITIZED=1)
endif()
