# What must hold whatever happens: robust_*.sh drive the command, test_robust_*.c drive a session.
# RP_LONG=1 makes them long.
if(RP_SANITIZE MATCHES "address|thread")
  return() # the runner is built without, and cannot load modules that want the sanitizer's library
endif()
find_program(BASH bash)
file(GLOB scripts CONFIGURE_DEPENDS robust_*.sh)
list(FILTER scripts EXCLUDE REGEX "robust_lib\\.sh$")
add_executable(robust_refuse robust_refuse.c)
target_link_libraries(robust_refuse PRIVATE rp_flags)
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME e2e/${name}
    COMMAND ${BASH} ${script} $<TARGET_FILE_DIR:reprise> $<TARGET_FILE_DIR:harness>
            $<TARGET_FILE:demo_game> ${PROJECT_SOURCE_DIR} $<TARGET_FILE:robust_refuse>
            ${CMAKE_BINARY_DIR}/tests/e2e)
  set_tests_properties(e2e/${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
endforeach()

# Modules of these tests alone.
set(robust_out ${CMAKE_BINARY_DIR}/tests/e2e)
foreach(name robust_cheat robust_cheat_heap)
  add_library(${name} MODULE robust_cheat.c)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${robust_out})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${name} PRIVATE rp_flags)
endforeach()
add_library(robust_take_cxx MODULE robust_take_cxx.cpp)
set_target_properties(robust_take_cxx PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${robust_out})
target_include_directories(robust_take_cxx PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(robust_take_cxx PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
target_compile_definitions(robust_cheat_heap PRIVATE CHEAT_HEAP)

# A session looks for its runner beside the program that it is in.
add_custom_command(OUTPUT ${robust_out}/reprise-runner
  COMMAND ${CMAKE_COMMAND} -E make_directory ${robust_out}
  COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE:reprise-runner> ${robust_out}/reprise-runner
  DEPENDS reprise-runner)
add_custom_target(robust_runner DEPENDS ${robust_out}/reprise-runner)

add_executable(robust_take_maker robust_take_maker.c robust_play.c robust_take_write.c ../support/test.c)
target_include_directories(robust_take_maker PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(robust_take_maker PRIVATE rp_flags host_core PkgConfig::CHECK)
target_compile_definitions(robust_take_maker PRIVATE
  ROBUST_PROGRAMS="$<TARGET_FILE_DIR:harness>" ROBUST_DEMO="$<TARGET_FILE:demo_game>")
set_target_properties(robust_take_maker PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${robust_out})
add_dependencies(robust_take_maker programs demo_game robust_runner)

file(GLOB sources CONFIGURE_DEPENDS test_robust_*.c)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "test_" "e2e_" target ${name})
  string(REPLACE "test_" "" name ${name})
  add_executable(${target} ${source} robust_play.c robust_take_write.c ../support/test.c)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE rp_flags host_core PkgConfig::CHECK)
  target_compile_definitions(${target} PRIVATE
    ROBUST_PROGRAMS="$<TARGET_FILE_DIR:harness>" ROBUST_DEMO="$<TARGET_FILE:demo_game>"
    ROBUST_OUT="${robust_out}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${robust_out})
  add_dependencies(${target} programs demo_game robust_runner robust_cheat robust_cheat_heap
    robust_take_cxx)
  add_test(NAME e2e/${name} COMMAND ${target})
  set_tests_properties(e2e/${name} PROPERTIES TIMEOUT 900 ENVIRONMENT CK_TIMEOUT_MULTIPLIER=10)
endforeach()
